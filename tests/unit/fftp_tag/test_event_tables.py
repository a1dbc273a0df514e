"""Tests of tables of events (strong labels).

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from fftp_tag.data.names import clip_ids
from fftp_tag.data.strong_labels import (
    AUDIOSET,
    DCASE,
    FFTP_TAG,
    read_strong_labels,
)
from fftp_tag.errors import InputError

IDS = clip_ids(["a/0.wav", "b/it barks!.flac", "c/1.wav", "c_1.wav"])
CLIPS = {"-_4gqARaEJE", "abcdefghijk", "abcdefghijk_30", "rec1"}
CLIPS |= set(IDS.values())


@pytest.mark.parametrize(
    "columns, clips",
    [
        (
            AUDIOSET,
            {
                "-_4gqARaEJE_30000": "-_4gqARaEJE",
                "abcdefghijk_30": "abcdefghijk_30",  # an id as it is
                "abcdefghijk_31_2": None,
            },
        ),
        (
            DCASE,
            {
                "-_4gqARaEJE_30000": None,
                "a\\0.wav": "a_0",
                "b/it barks!.flac": "b_it_barks_",
                "c/1.wav": IDS["c/1.wav"],
                "c_1.wav": IDS["c_1.wav"],
                "x.wav": None,
            },
        ),
        (FFTP_TAG, {"/data/a/0.wav": "a_0", "0.wav": None}),
    ],
)
def test_which_clips_rows_name(tmp_path, columns, clips):
    path = tmp_path / "strong.tsv"
    separator = "," if columns == FFTP_TAG else "\t"
    rows = [(name, "3", "4", "/m/1") for name in ("rec1", *clips)]
    path.write_text("\n".join(map(separator.join, [columns, *rows])))
    found = read_strong_labels(path, CLIPS, {"/m/1": "Dog"}, "train")
    known = {"rec1", *clips.values()} - {None}
    assert found == dict.fromkeys(known, [(3.0, 4.0, "Dog")])


RAVEN = """\
Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tAnnotation
1\tWaveform 1\t1\t0.5\t2\tDog
1\tSpectrogram 1\t1\t0.5\t2\tDog
2\tSpectrogram 1\t1\t3\t4.25\tCat
"""
AUDACITY = "0.5\t2.0\tDog\n\\\t100\t900\n3\t4.25\tCat\n"
CSV = (
    "file,start,end,label,probability\nb.wav,0.5,2,Dog,1\nb.wav,3,4.25,Cat,1\n"
)


@pytest.mark.parametrize("text", [RAVEN, AUDACITY, CSV])
def test_label_tracks_of_each_kind(tmp_path, text):
    """Of a recording alone, and in a folder beside that of another one."""
    events = [(0.5, 2.0, "Dog"), (3.0, 4.25, "Cat")]
    track = tmp_path / "tracks" / "b.txt"
    track.parent.mkdir()
    track.write_text(text)
    assert read_strong_labels(track, {"b"}, None, "all") == {"b": events}
    (tmp_path / "tracks" / "a.wav.selections.txt").touch()
    (tmp_path / "tracks" / "notes.txt").write_text("no label track")
    clips = clip_ids(["a.wav", "b.flac", "c.wav"]).values()
    found = read_strong_labels(track.parent, clips, None, "all")
    assert found == {"a": [], "b": events}
    (tmp_path / "tracks" / "b.csv").write_text(text)
    with pytest.raises(InputError, match="b.txt.* of one recording"):
        read_strong_labels(track.parent, clips, None, "all")


def test_a_file_that_failed_is_no_file_without_events(tmp_path):
    """In what the command writes with --format csv."""
    header = "file,start,end,label,probability,error"
    rows = ["a.wav,0.5,2,Dog,1,", "b.wav,,,,,", "c.wav,,,,,is not readable"]
    (tmp_path / "found.csv").write_text("\n".join([header, *rows]))
    found = read_strong_labels(tmp_path / "found.csv", "abc", None, "all")
    assert found == {"a": [(0.5, 2.0, "Dog")], "b": []}
