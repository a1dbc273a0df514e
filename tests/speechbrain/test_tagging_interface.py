"""Tests of the interface for audio taggers.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

LABELS = ["Cat", "Dog", "Rain"]


@pytest.fixture
def make_tagger(device):
    """A function that makes a small tagger."""
    from speechbrain.dataio.encoder import CategoricalEncoder
    from speechbrain.inference.tagging import Tagger
    from speechbrain.lobes.features import DatasetNormalization, KaldiFbank
    from speechbrain.lobes.models.AST import AST

    torch.manual_seed(0)
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(LABELS)
    encoder.expect_len(len(LABELS))
    modules = {
        "compute_features": KaldiFbank(n_mels=40),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": AST(40, 24, 1, 3, max_frames=100),
        "classifier": torch.nn.Sequential(
            torch.nn.Linear(24, len(LABELS)), torch.nn.LogSigmoid()
        ),
    }
    for module in modules.values():
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.3)

    def make_tagger(**hparams):
        hparams["label_encoder"] = encoder
        return Tagger(modules, hparams, run_opts={"device": device})

    return make_tagger


@torch.no_grad()
def test_a_padded_clip_is_tagged_as_alone(make_tagger):
    tagger, lengths = make_tagger(), (16000, 9000, 5000)
    wavs = torch.randn(3, 16000)  # of any value in padding
    wav_lens = torch.tensor(lengths) / 16000
    probs, tags = tagger.tag_batch(wavs, wav_lens, top_k=3)
    embeddings = tagger.encode_batch(wavs, wav_lens)
    log_probs, _, index, labels = tagger.classify_batch(wavs, wav_lens)
    torch.testing.assert_close(log_probs.exp(), probs)
    assert labels == [LABELS[i] for i in index]
    for clip, length in enumerate(lengths):
        wav = wavs[clip, :length]
        alone, [found] = tagger.tag_batch(wav, top_k=3)
        torch.testing.assert_close(probs[clip], alone[0], rtol=0, atol=1e-4)
        assert [label for label, _ in tags[clip]] == [x for x, _ in found]
        embedding = tagger.encode_batch(wav)[0]
        torch.testing.assert_close(
            embeddings[clip], embedding, rtol=0, atol=1e-3
        )


def test_tags_reach_the_thresholds_of_their_labels(make_tagger):
    wavs = torch.randn(4, 8000)
    probs, _ = make_tagger().tag_batch(wavs)
    thresholds = {"Cat": 0.1, "Rain": 0.9}
    _, tags = make_tagger(thresholds=thresholds).tag_batch(wavs)
    low = torch.tensor([0.1, 0.5, 0.9], device=probs.device)
    for row, found in zip(probs, tags):
        expected = {LABELS[i]: row[i].item() for i in torch.nonzero(row >= low)}
        assert dict(found) == pytest.approx(expected)
        assert found == sorted(found, key=lambda tag: -tag[1])


@torch.no_grad()
def test_a_long_recording_is_tagged_in_pieces(make_tagger, tmp_path):
    """The last one ends with it, or starts on a multiple of the step."""
    from speechbrain.dataio import audio_io

    tagger = make_tagger(pieces={"size": 8000, "hop": 6000, "step": 500})
    wav = 0.1 * torch.randn(20100)
    path = str(tmp_path / "clip.wav")
    audio_io.save(path, wav[None], 16000)
    wav = tagger.load_audio(path)
    starts = (0, 6000, 12000, 12500)
    pieces = [wav[start : start + 8000] for start in starts]
    expected = [tagger.tag_batch(piece)[0] for piece in pieces]
    expected = torch.cat(expected).amax(0)
    found = dict(tagger.tag_file(path, top_k=3))
    assert [found[x] for x in LABELS] == pytest.approx(expected.tolist())
    silent = tagger.classify_batch(torch.zeros(8000))[0]
    assert silent.exp().tolist() == [[0, 0, 0]]
