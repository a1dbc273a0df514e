"""Tests of CED.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.inference.packed_linear import pack_linear
from speechbrain_fftp.lobes.features import DatasetNormalization, MelDecibels
from speechbrain_fftp.lobes.models.CED import CED
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.pretrained import load_ced

CLIPS = ("full", "ten", "short", "over", "long")


def make_encoder(max_frames=84, **kwargs):
    """An encoder whose weights and statistics are not small."""
    torch.manual_seed(3)
    encoder = CED(32, 24, 2, 3, max_frames=max_frames, **kwargs).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    encoder.bin_norm.weight.data += 1.0
    torch.nn.init.normal_(encoder.bin_norm.running_mean)
    torch.nn.init.uniform_(encoder.bin_norm.running_var, 0.5, 2.0)
    return encoder


def pad(clips, frames, fill):
    feats = torch.full((len(clips), frames, clips[0].shape[1]), fill)
    for row, clip in zip(feats, clips):
        row[: len(clip)] = clip
    return feats, torch.tensor([len(clip) / frames for clip in clips])


@pytest.fixture(scope="module", params=["ced_a", "ced_b"])
def golden(request, shared):
    """A reference model, its clips, logits, probabilities and features."""
    folder = shared / "fixtures" / "ced"
    io = np.load(folder / f"{request.param}_io.npz")
    wav = torch.from_numpy(io["wav"] / np.float32(32768))
    clips = {name: wav[slice(*io[f"{name}_at"])] for name in (*CLIPS, "twice")}
    encoder, classifier = load_ced(folder / request.param)
    front_end = MelDecibels(), DatasetNormalization(0.0, 0.5)
    return Tagger(*front_end, encoder, classifier).eval(), clips, io


@pytest.mark.parametrize("name", CLIPS)
@torch.no_grad()
def test_pipeline_equals_the_reference(golden, name):
    tagger, clips, io = golden
    logits = tagger(clips[name][None])[0].numpy()
    np.testing.assert_allclose(logits, io[f"{name}_logits"], rtol=0, atol=1e-4)
    probs = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(probs, io[f"{name}_probs"], rtol=0, atol=1e-4)


@torch.no_grad()
def test_mixed_batch_equals_the_reference(golden):
    tagger, clips, io = golden
    size = 400_000
    wavs = torch.randn(len(CLIPS) + 1, size)  # the last one is loud noise
    for wav, name in zip(wavs, CLIPS):
        wav[: len(clips[name])] = clips[name]
    lens = torch.tensor([*(len(clips[name]) for name in CLIPS), size]) / size
    found = tagger(wavs, lens)[:-1].numpy()
    expected = np.stack([io[f"{name}_logits"] for name in CLIPS])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_no_chunk_is_lost(golden):
    """Unlike in the reference, where a clip of two chunks loses the last."""
    tagger, clips, io = golden
    wav = clips["twice"]
    feats, _ = tagger.features(wav[None])
    assert feats.shape[1] == 2 * 1012
    halves = tagger.embedding_model(feats.view(2, 1012, 64))
    halves = halves.mean(0, keepdim=True)
    logits = tagger(wav[None])
    torch.testing.assert_close(
        logits, tagger.classify(halves), rtol=0, atol=1e-4
    )
    assert (logits[0] - torch.from_numpy(io["twice_logits"])).abs().max() > 0.1


@pytest.mark.parametrize("fill", [0.0, 50.0, float("nan")])
@torch.no_grad()
def test_embedding_depends_on_neither_padding_nor_other_clips(fill):
    encoder = make_encoder()
    # Shorter than a patch, one chunk (not all of it in patches), and several
    lengths = (252, 3, 16, 17, 31, 84, 85, 83, 168, 200, 1)
    clips = [torch.randn(n, 32) for n in lengths]
    alone = torch.cat([encoder(clip[None]) for clip in clips])
    for frames in (252, 300, 777):
        out = encoder(*pad(clips, frames, fill))
        torch.testing.assert_close(out, alone, rtol=0, atol=1e-4)
    out = encoder(*pad(clips[1:4], 40, fill))
    torch.testing.assert_close(out, alone[1:4], rtol=0, atol=1e-4)
    out = encoder(*pad(clips[5:8], 90, fill))
    torch.testing.assert_close(out, alone[5:8], rtol=0, atol=1e-4)


@torch.no_grad()
def test_long_clips_are_the_mean_of_chunks_filled_with_zeros():
    encoder = make_encoder()
    norm = encoder.bin_norm
    zero = norm.running_mean - norm.bias / norm.weight * torch.sqrt(
        norm.running_var + norm.eps
    )
    for frames in (85, 168, 169, 233):
        feats = torch.randn(2, frames, 32)
        missing = -frames % 84
        filled = torch.cat([feats, zero.expand(2, missing, 32)], 1)
        chunks = [encoder(chunk) for chunk in filled.split(84, 1)]
        expected = torch.stack(chunks).mean(0)
        torch.testing.assert_close(encoder(feats), expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_positions_of_a_short_clip_are_the_first_ones():
    encoder, longer = make_encoder(), make_encoder(max_frames=1012)
    state = encoder.state_dict()
    times = longer.time_positions.clone()
    times[:5] = state["time_positions"]
    longer.load_state_dict({**state, "time_positions": times})
    feats = torch.randn(2, 84, 32)
    torch.testing.assert_close(encoder(feats), longer(feats))
    moved = feats.roll(16, 1)
    assert (encoder(moved) - encoder(feats)).abs().max() > 1e-2


def test_statistics_are_those_of_the_clips():
    clips = [torch.randn(n, 32) * 3 + 5 for n in (60, 20, 37)]
    feats, lens = pad(clips, 80, 1e6)
    encoder = make_encoder().train()
    norm = torch.nn.BatchNorm1d(32)
    norm.load_state_dict(encoder.bin_norm.state_dict())
    norm(torch.cat(clips))
    out = encoder(feats, lens)
    torch.testing.assert_close(encoder.bin_norm.state_dict(), norm.state_dict())
    norm.eval()
    # What the clips themselves were normalised by
    frozen = make_encoder()
    both = torch.cat(clips)
    frozen.bin_norm.running_mean = both.mean(0)
    frozen.bin_norm.running_var = both.var(0, unbiased=False)
    torch.testing.assert_close(out, frozen(feats, lens), rtol=0, atol=1e-4)


@pytest.mark.parametrize("lens", [None, torch.tensor([1.0, 0.4])])
@pytest.mark.parametrize("frames", [84, 200])
def test_gradient_reaches_every_parameter(lens, frames):
    encoder = make_encoder().train()
    feats = torch.randn(2, frames, 32, requires_grad=True)
    out = encoder(feats, lens)
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    assert (encoder.time_positions.grad != 0).all()
    assert (encoder.freq_positions.grad != 0).all()
    if lens is not None:
        assert not feats.grad[1, round(0.4 * frames) :].any()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_heads": 5}, "embed_dim=192.*num_heads=5"),
        ({"num_heads": 0}, "num_heads=0, which must be pos"),
        ({"n_mels": 15}, "16 bins is taller.*n_mels=15"),
        ({"max_frames": 15}, "16 frames is longer.*max_frames=15"),
    ],
)
def test_construction_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        CED(depth=1, **arguments)


@pytest.mark.parametrize("shape", [(2, 40, 64), (2, 40), (40, 32, 1)])
def test_features_of_another_shape_are_an_error(shape):
    with pytest.raises(ValueError, match=r"Expected features \[B, T, 32\]"):
        make_encoder()(torch.zeros(shape))


@pytest.mark.parametrize(
    "width, heads, millions",
    [(192, 3, 5.5), (256, 4, 9.6), (384, 6, 21.6), (768, 12, 85.7)],
)
def test_numbers_of_parameters_are_those_of_the_paper(width, heads, millions):
    with torch.device("meta"):
        encoder = CED(embed_dim=width, num_heads=heads)
    total = sum(p.numel() for p in encoder.parameters())
    total += 2 * width + 528 * width  # the classifier
    assert total / 1e6 == pytest.approx(millions, rel=0.03)


@torch.no_grad()
def test_packed_layers_give_the_same():
    torch.manual_seed(0)
    encoder = CED(embed_dim=96, depth=2, num_heads=3, max_frames=1040).eval()
    feats = 20 * torch.randn(1, 2000, 64)
    expected = encoder(feats)
    count = pack_linear(encoder, force=True)
    assert count == 8 or count == 0 and not torch.backends.mkldnn.is_available()
    torch.testing.assert_close(encoder(feats), expected, rtol=0, atol=1e-4)
