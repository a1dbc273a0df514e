"""Tests of tables of events (strong labels).

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.datasets.names import clip_ids
from speechbrain_fftp.datasets.strong_labels import (
    STRONG_COLUMNS,
    read_strong_labels,
)


def strong_clips(path, columns, names, clips):
    """The clips of events 0 to 1 s, 1 to 2 s, ... of these names."""
    lines = ["\t".join(columns)]
    lines += (f"{x}\t{i}\t{i + 1}\tDog" for i, x in enumerate(names))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    found = read_strong_labels(path, clips, {"/m/1": "Dog"}, "train")
    return {c: [int(start) for start, *_ in x] for c, x in found.items()}


def test_strong_labels_name_clips_by_segments(tmp_path):
    path, (audioset, dcase) = tmp_path / "strong.tsv", STRONG_COLUMNS
    clips = {"-_4gqARaEJE", "rec0", "abcdefghijk", "abcdefghijk_30"}
    names = ["-_4gqARaEJE_30000", "rec0_2", "rec0", "abcdefghijk_30"]
    names += ["abcdefghijk_31_2", "abcdefghijk_", "babcdefghijk_30"]
    expected = {"-_4gqARaEJE": [0], "rec0": [2], "abcdefghijk_30": [3]}
    assert strong_clips(path, audioset, names, clips) == expected
    del expected["-_4gqARaEJE"]
    assert strong_clips(path, dcase, names, clips) == expected


def test_strong_labels_name_clips_by_paths(tmp_path):
    paths = ["a/0.wav", "b/it barks!.flac", "c/1.wav", "c_1.wav"]
    ids = clip_ids(paths)
    names = ["a/0.wav", "a\\0.wav", "a_0.wav", "a_0", *paths[1:], "x.wav"]
    assert strong_clips(
        tmp_path / "strong.tsv", STRONG_COLUMNS[1], names, set(ids.values())
    ) == {
        "a_0": [0, 1, 2, 3],
        "b_it_barks_": [4],
        ids["c/1.wav"]: [5],
        ids["c_1.wav"]: [6],
    }
