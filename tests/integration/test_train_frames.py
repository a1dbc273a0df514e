"""Tests of the AudioSet recipe with a classifier of time steps.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import numpy as np
import pytest
import torch
from prepared_clips import read_part, read_rows
from recipe_runs import train

from fftp_tag import AudioTagger
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain_fftp.lobes.frame_classifier import step_times
from speechbrain_fftp.pretrained.families import (
    build_modules,
    find_family,
    load_front_end,
)
from speechbrain_fftp.pretrained.tensors import read_checkpoint

YAML = "ast_fftp_frames.yaml"
OPTIONS = {"hparams": YAML, "recipe": "AudioSet/train_strong.py"}


@pytest.fixture(scope="module")
def strong_labels(data_folder, tmp_path_factory):
    """A table in which each sound lasts for the first half of its clip."""
    path = tmp_path_factory.mktemp("strong") / "strong.tsv"
    lines = ["segment_id\tstart_time_seconds\tend_time_seconds\tlabel"]
    for name in ("balanced_train", "valid", "eval"):
        segments = data_folder / f"{name}_segments.csv"
        with open(segments, newline="", encoding="utf-8") as file:
            rows = [r for r in csv.reader(file, skipinitialspace=True) if r[1:]]
        for clip, *_, mids in (row for row in rows if row[0][0] != "#"):
            lines += (f"{clip}_0\t0.0\t0.5\t{mid}" for mid in mids.split(","))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_model_of_time_steps_tells_what_sounds_when(
    strong_labels, data_folder, tmp_path
):
    output, metrics = train(
        tmp_path / "run",
        **OPTIONS,
        data_folder=data_folder,
        strong_labels=strong_labels,
        stride_frames=25,
        mixup_prob=0.5,
        export=True,
    )
    assert "in 24 of 24 clips" in output
    assert 0 < metrics["mAP"] <= 1
    clip = str(next((data_folder / "audio").iterdir()))
    tagger = AudioTagger.from_pretrained(tmp_path / "run")
    times, probs = tagger.frame_probabilities(clip)
    assert probs.shape == (len(times), 3)
    assert ((0 < probs) & (probs < 1)).all()
    np.testing.assert_allclose(np.diff(times), 0.25, atol=1e-4)
    tags = tagger.tag_file(clip, top_k=3, threshold=0.0)
    # The clip's probability is between those of its time steps.
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
def test_fine_tunes_published_models(
    source, options, shared, data_folder, tmp_path
):
    """The options that atst_frames.yaml names make the published features."""
    train(
        tmp_path / "run",
        recipe=OPTIONS["recipe"],
        hparams="atst_frames.yaml",
        data_folder=data_folder,
        pretrained=shared / "fixtures" / source,
        depth=2,
        patch_frames=4,
        stride_frames=4,
        number_of_epochs=1,
        lr="0.000000000001",
        **options,
    )
    tuned = EncoderClassifier.from_hparams(str(tmp_path / "run" / "inference"))
    checkpoint = read_checkpoint(shared / "fixtures" / source)
    family = find_family(checkpoint)
    published, _ = build_modules(family, checkpoint)
    front_end = load_front_end(family, published, checkpoint)
    prepared = tmp_path / "run" / "prepared"
    row = read_rows(prepared / "eval.csv")[0]
    wav = torch.from_numpy(read_part(row, prepared, "float32"))[None]
    expected = front_end.mean_var_norm(front_end.compute_features(wav))
    feats = tuned.mods.mean_var_norm(tuned.mods.compute_features(wav), None)
    torch.testing.assert_close(feats, expected, rtol=0, atol=1e-5)
    tokens = tuned.mods.embedding_model.encoder.encode(feats).tokens
    if "atst" in source:  # else its statistics have adapted
        expected = published.encode(feats).tokens
        torch.testing.assert_close(tokens, expected, rtol=0, atol=1e-4)
    times = step_times(
        front_end.compute_features, published.embedding, wav.shape[1]
    )
    assert tokens.shape[1] == len(times)
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-4)
