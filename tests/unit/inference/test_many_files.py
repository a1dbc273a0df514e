"""Tests of tagging many files: order, errors, memory and threads.

Authors
 * The speechbrain_fftp authors 2026
"""

import threading

import numpy as np
import pytest
import soundfile as sf


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Files of 25 ms to 9 s: the model's windows take 1.3 s."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    lengths = [400, 9 * 16000, *rng.integers(800, 24000, 70), 30000, 400]
    for number, length in enumerate(lengths):
        wav = np.sin(np.arange(length) * rng.uniform(0.01, 2))
        wav *= rng.uniform(0.01, 0.3)
        sf.write(folder / f"{number:02}.wav", wav, 16000, "FLOAT")
    return sorted(folder.iterdir())


def readers():
    return [t for t in threading.enumerate() if "ThreadPool" in t.name]


@pytest.mark.parametrize("num_workers", [1, 3])
def test_results_are_those_of_a_loop(tagger, clips, num_workers):
    found = list(tagger.tag_files(clips, num_workers=num_workers))
    assert [row.file for row in found] == list(map(str, clips))
    tops = set()
    for path, row in zip(clips, found):
        expected = {t.label: t.probability for t in tagger.tag_file(path)}
        assert row.error is None and len(row.tags) == len(expected) == 5
        for tag in row.tags:
            assert abs(tag.probability - expected[tag.label]) < 1e-5
        tops.add(round(row.tags[0].probability, 5))
    assert len(tops) > 50
    assert not readers()


def test_unreadable_files_are_rows(tagger, clips, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio")
    late = tmp_path / "late.wav"  # unreadable after its first windows
    wav = 0.1 * np.ones(16000 * 60)
    wav[-1] = np.nan
    sf.write(late, wav, 16000, "FLOAT")
    missing = tmp_path / "missing.wav"
    paths = [clips[3], bad, late, missing, clips[4], tmp_path]
    rows = list(tagger.tag_files(map(str, paths), top_k=2))
    assert [row.file for row in rows] == list(map(str, paths))
    for path, row in zip(paths, rows):
        if path in clips:
            assert row.error is None and len(row.tags) == 2
        else:
            assert row.tags is None and str(path) in row.error
