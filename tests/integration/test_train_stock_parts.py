"""Tests of the AudioSet recipe with SpeechBrain's own features, checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
from recipe_runs import ROOT, train

OURS = "speechbrain_fftp.training.checkpoints.AtomicCheckpointer"
STOCK = "speechbrain.utils.checkpoints.Checkpointer"
OPTIONS = {"n_mels": 40, "num_workers": 0, "avg_checkpoints": 1}


def variant(path, checkpointer):
    """A yaml with SpeechBrain's Fbank and one of two checkpointers."""
    text = (ROOT / "hparams" / "ast_fftp.yaml").read_text("utf-8")
    fbank = "speechbrain_fftp.lobes.features.KaldiFbank"
    assert text.count(fbank) == text.count(OURS) == 1
    text = text.replace(fbank, "speechbrain.lobes.features.Fbank")
    path.write_text(text.replace(OURS, checkpointer), "utf-8")
    return path


@pytest.fixture(scope="module")
def trained(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    options = {**OPTIONS, "data_folder": data_folder}
    stock = variant(folder / "stock.yaml", STOCK)
    _, metrics = train(
        folder / "run", hparams=stock, number_of_epochs=1, **options
    )
    return folder, options, metrics


def test_features_of_speechbrain_are_trained_and_exported(trained, data_folder):
    from speechbrain.inference.classifiers import EncoderClassifier
    from speechbrain_fftp.inference import AudioTagger

    folder, _, metrics = trained
    assert metrics["num_clips"] == 8 and 0 < metrics["mAP"] <= 1
    model = str(folder / "run" / "inference")
    clip = str(next((data_folder / "audio").iterdir()))
    tagger = AudioTagger.from_hparams(source=model)
    logits, *_ = EncoderClassifier.from_hparams(source=model).classify_file(
        clip
    )
    assert logits.shape == (1, len(tagger.labels)) == (1, 14)
    tags = tagger.tag_file(clip, top_k=14)
    assert tags[0].label == tagger.labels[logits.argmax()]
    assert tags[0].probability == pytest.approx(
        logits.sigmoid().max().item(), abs=1e-5
    )


def test_a_run_with_checkpoints_of_speechbrain_resumes(trained):
    folder, options, _ = trained
    ours = variant(folder / "ours.yaml", OURS)
    output, _ = train(
        folder / "run", hparams=ours, number_of_epochs=2, **options
    )
    assert "Loading a checkpoint" in output
    assert "cannot be verified" in output
    assert "Going into epoch 1\n" not in output
    assert "Going into epoch 2\n" in output
    assert not list((folder / "run" / "save").glob("damaged+*"))
