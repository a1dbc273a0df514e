"""Tests of the inference interface of audio tagging.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


def make_tagger(device):
    """A small tagger of three classes."""
    from speechbrain.dataio.encoder import CategoricalEncoder
    from speechbrain.inference.tagging import ClipTagger
    from speechbrain.lobes.features import DatasetNormalization, KaldiFbank
    from speechbrain.lobes.models.AST import AST

    torch.manual_seed(1)
    labels = CategoricalEncoder()
    labels.update_from_iterable(["Speech", "Music", "Dog"])
    classifier = torch.nn.Linear(24, 3)
    torch.nn.init.normal_(classifier.weight)
    return ClipTagger(
        modules={
            "compute_features": KaldiFbank(n_mels=40),
            "mean_var_norm": DatasetNormalization(),
            "embedding_model": AST(40, embed_dim=24, depth=1, num_heads=2),
            "classifier": torch.nn.Sequential(
                classifier, torch.nn.LogSigmoid()
            ),
        },
        hparams={"label_encoder": labels, "sample_rate": 16000},
        run_opts={"device": device},
    )


def test_probabilities_are_those_of_the_modules(device):
    tagger = make_tagger(device)
    wavs = torch.randn(2, 16000)
    feats = tagger.mods.compute_features(wavs.to(device))
    feats = tagger.mods.mean_var_norm(feats)
    logits = tagger.mods.classifier[0](tagger.mods.embedding_model(feats))
    expected = torch.sigmoid(logits.squeeze(1))
    torch.testing.assert_close(tagger.tag_batch(wavs), expected)


def test_tags_do_not_depend_on_padding(device):
    tagger = make_tagger(device)
    wavs = torch.randn(2, 16000)
    alone = tagger.tag_batch(wavs[1:, :8000])
    batch = tagger.tag_batch(wavs, torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(batch[1:], alone, rtol=1e-4, atol=1e-5)


def test_files(device, tmp_path):
    from speechbrain.dataio import audio_io

    tagger, wav = make_tagger(device), 0.1 * torch.randn(1, 16000)
    path = tmp_path / "clip.wav"
    audio_io.save(path, wav, 16000)
    wav, _ = audio_io.load(path)
    probs = tagger.tag_batch(wav)[0]
    tags = tagger.tag_file(str(path), top_k=2)
    assert [tag.label for tag in tags] == [
        tagger.labels[i] for i in probs.argsort(descending=True)[:2]
    ]
    torch.testing.assert_close(tags[0].probability, float(probs.max()))
    high = float(probs.median()) + 1e-6
    assert len(tagger.tag_file(str(path), threshold=high)) == 1
    embedding = tagger.embed_file(str(path))
    torch.testing.assert_close(embedding, tagger.encode_batch(wav)[0, 0])
