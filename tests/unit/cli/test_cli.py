"""Tests of the command line.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger


@pytest.fixture
def clips(tmp_path):
    paths = []
    for n in range(2):
        path = tmp_path / f"clip {n}.wav"
        samples = np.random.default_rng(n).standard_normal(8000)
        sf.write(path, 0.1 * samples, 16000)
        paths.append(str(path))
    return paths


def expected_lines(folder, path, top_k):
    tags = AudioTagger.from_hparams(source=str(folder)).tag_file(path, top_k)
    return [path] + [f"  {tag.probability:.3f}  {tag.label}" for tag in tags]


def test_prints_the_tags_of_each_file(exported, clips, capsys):
    folder = exported[1]
    assert main([*clips, "--model", str(folder), "--top-k", "3"]) == 0
    captured = capsys.readouterr()
    expected = [
        line for clip in clips for line in expected_lines(folder, clip, 3)
    ]
    assert captured.out.splitlines() == expected
    assert "fftp-tag:" not in captured.err


def test_missing_model_says_how_to_make_one(clips, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for name in ("none", "empty"):
        assert main([clips[0], "--model", str(tmp_path / name)]) == 1
        captured = capsys.readouterr()
        assert not captured.out
        assert name in captured.err and "`make demo`" in captured.err
