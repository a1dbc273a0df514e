"""Tests that an encoder of one's own trains and loads, as CONTRIBUTING says.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import numpy as np
import torch
from prepared_clips import read_clips
from recipe_runs import FOR_SPEECHBRAIN, ROOT, run_words, train

CLASSIFY = """
import sys
import torch
from speechbrain.inference.classifiers import EncoderClassifier

folder, clips, outputs = sys.argv[1:]
classifier = EncoderClassifier.from_hparams(source=folder)
wavs = torch.load(clips)
torch.save([classifier.classify_batch(wav)[0] for wav in wavs], outputs)
"""


def test_an_encoder_of_ones_own(data_folder, tmp_path):
    """EncoderClassifier finds elsewhere what the training has found."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("## An encoder of your own")[2]
    python, yaml = (
        re.search(f"```{language}\n(.*?)```", section, re.S)[1]
        for language in ("python", "yaml")
    )
    own = tmp_path / "own"
    own.mkdir()
    (own / "my_encoder.py").write_text(python)
    text = (ROOT / "hparams" / "convnext_fftp.yaml").read_text("utf-8")
    key = r"(?ms)^embedding_model:.*?\n(?=\n)"
    (own / "gru.yaml").write_text(re.sub(key, yaml, text), "utf-8")
    train(
        tmp_path / "run",
        hparams=own / "gru.yaml",
        data_folder=data_folder,
        max_seconds=3,
        max_frames=300,
        export=True,
        after=FOR_SPEECHBRAIN,  # torch cannot export a GRU, and takes minutes
    )

    own.rename(tmp_path / "elsewhere")
    (tmp_path / "classify.py").write_text(CLASSIFY)
    clips = read_clips(tmp_path / "run" / "prepared")
    with np.load(tmp_path / "run" / "probabilities.npz") as found:
        ids, expected = found["ids"], found["probs"]
    wavs = [torch.from_numpy(clips[i] / np.float32(32768))[None] for i in ids]
    torch.save(wavs, tmp_path / "clips.pt")
    words = ["classify.py", "run/inference", "clips.pt", "outputs.pt"]
    status, output = run_words([str(tmp_path / x) for x in words], tmp_path)
    assert status == 0, output
    log_probs = torch.cat(torch.load(tmp_path / "outputs.pt"))
    np.testing.assert_allclose(log_probs.exp(), expected, atol=1e-5)
