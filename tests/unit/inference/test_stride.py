"""Tests of taggers with another stride than their model's.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import shutil

import pytest
import torch

from speechbrain_fftp.inference import AudioTagger

LENGTHS = torch.tensor([1.0, 0.4])


@pytest.fixture
def folder(exported, tmp_path):
    """An inference folder whose model says it was trained for strides."""
    folder = shutil.copytree(exported[1], tmp_path / "model")
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["embedding_model"]["embedding"]["strides"] = [5, 20]
    path.write_text(json.dumps(config), "utf-8")
    return folder


def test_tagger_of_another_stride(exported, folder, caplog):
    wavs = 0.1 * torch.randn(2, 16000)
    usual = AudioTagger.from_pretrained(exported[1]).tag_batch(wavs, LENGTHS)
    tagger = AudioTagger.from_pretrained(folder, stride=20)
    found = tagger.tag_batch(wavs, LENGTHS)
    assert not caplog.records
    assert not torch.allclose(found, usual, atol=1e-4)
    tagger = AudioTagger.from_hparams(str(exported[1]), stride=20)
    assert "was not trained for a stride of 20" in caplog.text
    torch.testing.assert_close(tagger.tag_batch(wavs, LENGTHS), found)


@pytest.mark.parametrize("strides", [[0], ["5"]])
def test_foreign_strides_are_refused(folder, strides):
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["embedding_model"]["embedding"]["strides"] = strides
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(ValueError, match="config.json"):
        AudioTagger.from_pretrained(folder)
