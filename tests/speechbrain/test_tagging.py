"""Tests of the inference interface of audio tagging.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def test_tags_of_a_file_are_those_of_the_modules(device, tmp_path):
    from speechbrain.dataio import audio_io
    from speechbrain.dataio.encoder import CategoricalEncoder
    from speechbrain.inference.tagging import ClipTagger
    from speechbrain.lobes.features import DatasetNormalization, KaldiFbank
    from speechbrain.lobes.models.AST import AST

    torch.manual_seed(1)
    names = ["Speech", "Music", "Dog"]
    labels = CategoricalEncoder()
    labels.update_from_iterable(names)
    classifier = torch.nn.Linear(24, 3)
    torch.nn.init.normal_(classifier.weight)
    tagger = ClipTagger(
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
    path = tmp_path / "clip.wav"
    audio_io.save(path, 0.1 * torch.randn(1, 16000), 16000)
    wav, _ = audio_io.load(path)
    feats = tagger.mods.compute_features(wav.to(device))
    embedding = tagger.mods.embedding_model(tagger.mods.mean_var_norm(feats))
    expected = torch.sigmoid(tagger.mods.classifier[0](embedding))[0, 0]
    torch.testing.assert_close(tagger.embed_file(str(path)), embedding[0, 0])
    # In a padded batch, too
    batch = torch.cat([wav, torch.zeros_like(wav)], 1).expand(2, -1)
    probs = tagger.tag_batch(batch, torch.tensor([1.0, 0.5]))[1]
    torch.testing.assert_close(probs, expected, rtol=1e-4, atol=1e-5)

    order = expected.argsort(descending=True).tolist()
    tags = tagger.tag_file(str(path), top_k=2)
    assert [tag.label for tag in tags] == [names[i] for i in order[:2]]
    assert tags[0].probability == pytest.approx(expected.max().item())
    high = expected.median().item() + 1e-4
    assert tagger.tag_file(str(path), threshold=high) == tags[:1]
