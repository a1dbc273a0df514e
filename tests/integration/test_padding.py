"""Batches that are padded to one shape, and the paper's commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from recipe_brains import ROOT, load_tiny, make_batch, make_brain

import speechbrain as sb
from speechbrain.dataio.batch import PaddedData
from speechbrain_fftp.lobes.tagger import extract_features
from speechbrain_fftp.training.command import read_short_yaml
from speechbrain_fftp.training.padding import ClipBatch, pad_to_one_shape

SETTINGS = (
    *("patch", "stride", "patch_frames", "stride_frames"),
    *("mask_patch", "mask_budget", "mask_padding", "pad_frames", "max_frames"),
    "wav_augment",
)


def printed_rows(recipe):
    """The recipe's yaml file and the settings of the rows that a README's commands
    train with the paper's settings.
    """
    text = (ROOT / "recipes" / recipe / "README.md").read_text("utf-8")
    section = text.split("## The paper's settings")[1].split("\n## ")[0]
    for name in re.findall(r"train.py (hparams/paper/\S+)", section):
        yaml, settings = read_short_yaml(ROOT / name)
        folder = ROOT / "hparams"
        yield (
            Path(yaml).resolve().relative_to(folder).as_posix(),
            {x: settings[x] for x in SETTINGS if x in settings},
        )


def padded_batch(hparams, pad_frames, *seconds):
    """Waveforms of training clips as the loader pads them, with their lengths."""
    hparams = SimpleNamespace(**hparams)
    rows = {n: {"duration": str(x)} for n, x in enumerate(seconds)}
    pad_to_one_shape(
        SimpleNamespace(hparams=hparams, modules=hparams.modules),
        {"train": SimpleNamespace(data=rows)},
        collate=hparams.collate_clips,
        pad_frames=pad_frames,
    )
    collate = hparams.train_dataloader_opts["collate_fn"]
    clips = [torch.rand(round(16000 * x)) for x in seconds]
    return collate([{"sig": clip} for clip in clips]).sig


def test_token_counts_are_the_papers(tmp_path):
    """Of batches with clips of 10 s and of 3 s, of the printed commands' rows.

    And the cells that are masked, on the grid of the tokens.
    """
    counts = []
    for yaml, settings in printed_rows("AudioSet"):
        hparams = load_tiny(yaml, tmp_path, **settings)
        wavs, lens = padded_batch(hparams, hparams["pad_frames"], 10, 3)
        feats, lens = extract_features(hparams["modules"], wavs, lens)
        assert lens is None  # padding is a part of the clip
        padding = hparams["spec_augment_fill"]
        assert (feats[0, 998:] == padding).all()
        assert (feats[1, 298:] == padding).all() and padding > 0.4
        counts.append(hparams["embedding"](feats).shape[1])
        masked = hparams["spec_mask"](feats) != feats
        assert (masked.sum((1, 2)) == 25600).all()
        assert (masked.all(2).sum(1) * 128 == 17920).all()  # 70 %
        stride = settings.get("stride_frames") or settings["stride"][0]
        assert settings["mask_patch"][0] == stride
    assert counts == [1212, 991, 196]


def test_the_papers_number_of_cells_is_masked(tmp_path):
    """1,024 cells of a word, whose 98 frames are padded to 128."""
    ((yaml, settings),) = printed_rows("SpeechCommands")
    hparams = load_tiny(yaml, tmp_path, **settings)
    words = 8 * [1]
    wavs, lens = padded_batch(hparams, hparams["pad_frames"], *words)
    feats, lens = extract_features(hparams["modules"], wavs, lens)
    assert feats.shape == (8, 128, 128)
    masked = hparams["spec_mask"](feats, lens) != feats
    assert (masked.sum((1, 2)) == 1024).all()


@pytest.mark.parametrize(
    "pad_frames, seconds, samples",
    [
        ("longest", (0.5, 0.25), 8000),
        (100, (0.5, 0.25), 16240),
        (10, (0.5, 0.25), 8000),  # never cut
    ],
)
def test_length_of_batches(pad_frames, seconds, samples, tmp_path):
    hparams = load_tiny("ast_fftp.yaml", tmp_path)
    wavs, lens = padded_batch(hparams, pad_frames, *seconds)
    assert wavs.shape == (2, samples)
    counts = (lens * samples).round().long()
    assert counts.tolist() == [round(16000 * x) for x in seconds]
    for wav, count in zip(wavs, counts):
        assert wav[:count].all() and not wav[count:].any()


@pytest.mark.parametrize(
    "encoder, options",
    [
        *((x, {}) for x in ("ast", "aum", "convnext")),
        ("ast", {"mask_padding": False}),
    ],
)
@pytest.mark.parametrize("recipe", ["", "speechcommands/"])
def test_padding_changes_no_loss(recipe, encoder, options, tmp_path):
    """Nor any gradient: of patches, positions and what is pooled."""
    brain = make_brain(
        f"{recipe}{encoder}_fftp.yaml",
        tmp_path,
        wav_augment=None,
        fea_augment=None,
        mixup_prob=0.0,
        **options,
    )
    batch = make_batch(brain, [1.0, 0.8, 0.55])
    found = []
    for extra in (0, 5000):
        collate = ClipBatch()
        collate.n_samples = 16000 + extra
        counts = (batch.sig.lengths * 16000).round().long()
        clips = [x[:n] for x, n in zip(batch.sig.data, counts)]
        sig = collate([{"sig": clip} for clip in clips]).sig
        assert sig.data.shape[1] == 16000 + extra
        copy = SimpleNamespace(
            sig=sig, targets=PaddedData(batch.targets.data, torch.ones(3))
        )
        copy.to = lambda *args, copy=copy, **kwargs: copy
        brain.modules.zero_grad()
        outputs = brain.compute_forward(copy, sb.Stage.TRAIN)
        loss = brain.compute_objectives(outputs, copy, sb.Stage.TRAIN)
        loss.backward()
        weights = brain.modules.embedding_model.parameters()
        found.append((loss, [weight.grad for weight in weights]))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-5, rtol=0)
    for one, other in zip(found[0][1], found[1][1]):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)
