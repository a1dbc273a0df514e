"""Tests of the AudioSet recipe with frame-level predictions.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import numpy as np
import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from recipe_runs import ROOT, train

from fftp_tag import AudioTagger
from speechbrain_fftp.lobes.frame_classifier import frame_level_times
from speechbrain_fftp.pretrained.families import (
    build_modules,
    find_family,
    load_front_end,
)
from speechbrain_fftp.pretrained.tensors import read_checkpoint


@pytest.mark.parametrize(
    "export", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_model_of_time_steps_tells_what_sounds_when(
    data_folder, tmp_path, export
):
    # Each sound lasts for the first half of its clip
    lines = ["filename\tonset\toffset\tevent_label"]
    for path in (data_folder / "audio").iterdir():
        lines.append(f"{path.stem}\t0.0\t5.0\tAlpha")
    strong_labels = tmp_path / "strong.tsv"
    strong_labels.write_text("\n".join(lines), "utf-8")
    output, metrics = train(
        tmp_path / "run",
        recipe="AudioSet/train_strong.py",
        hparams="ast_fftp_frames.yaml",
        data_folder=data_folder,
        strong_labels=strong_labels,
        stride_frames=25,
        mixup_prob=0.5,
        export=export,
    )
    assert re.search(r"events in (\d+) of \1 clips", output)
    assert 0 < metrics["mAP"] <= 1
    if not export:
        return
    clip = str(next((data_folder / "audio").iterdir()))
    tagger = AudioTagger.from_pretrained(tmp_path / "run")
    times, probs = tagger.frame_probabilities(clip)
    assert probs.shape == (len(times), 3)
    assert ((0 < probs) & (probs < 1)).all()
    np.testing.assert_allclose(np.diff(times), 0.25, atol=1e-4)
    tags = tagger.tag_file(clip, top_k=3, threshold=0.0)
    # The clip's probability is between the frame-level ones.
    best = tags[0].probability
    number = tagger.labels.index(tags[0].label)
    assert probs[:, number].mean() <= best <= probs[:, number].max()


DASHENG = {
    "has_bin_norm": True,
    "n_fft": 512,
    "f_min": 0,
    "f_max": 8000,
    "top_db": 120,
    "low": -100,
    "mean": 0,
    "std": 0.5,
    "max_frames": 1008,
}


@torch.no_grad()
@pytest.mark.parametrize(
    "source, options",
    [
        ("atst/atst_a.pt", {"mlp_ratio": 2}),
        ("dasheng/dasheng_a.pt", DASHENG),
    ],
)
def test_fine_tuning_starts_from_published_models(
    source, options, shared, tmp_path
):
    """The options that atst_frames.yaml names make the published features."""
    source = shared / "fixtures" / source
    text = (ROOT / "hparams" / "atst_frames.yaml").read_text("utf-8")
    hparams = load_hyperpyyaml(
        text,
        {
            "data_folder": "data",
            "output_folder": str(tmp_path),
            "pretrained": str(source),
            "n_classes": 3,
            "embed_dim": 64,
            "depth": 2,
            **options,
        },
    )
    checkpoint = read_checkpoint(source)
    family = find_family(checkpoint)
    published, _ = build_modules(family, checkpoint)
    front_end = load_front_end(family, published, checkpoint)
    wav = 0.1 * torch.randn(1, 32000)
    expected = front_end.mean_var_norm(front_end.compute_features(wav))
    feats = hparams["mean_var_norm"](hparams["compute_features"](wav))
    torch.testing.assert_close(feats, expected, rtol=0, atol=1e-5)
    tokens = hparams["encoder"].eval().encode(feats).tokens
    torch.testing.assert_close(tokens, published.encode(feats).tokens)
    times = frame_level_times(
        hparams["compute_features"], hparams["embedding"], 32000
    )
    assert tokens.shape[1] == len(times)
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-4)
