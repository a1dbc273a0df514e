"""Tests of scores on prepared folders and on data that are not prepared.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil

import numpy as np
import pytest
import soundfile as sf
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from speechbrain_fftp.datasets.prepare import prepare_data
from speechbrain_fftp.inference import AudioTagger

RATE = 16000


def write_sound(path, seed):
    """Noise or a tone of 0.3 to 1.9 s; the model's windows take 1.3 s."""
    rng = np.random.default_rng(seed)
    time = np.arange(rng.integers(5000, 30000)) / RATE
    wav = np.sin(2 * np.pi * rng.uniform(100, 4000) * time)
    wav = rng.standard_normal(len(time)) if seed % 3 == 0 else wav
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, rng.uniform(0.01, 0.2) * wav, RATE)


@pytest.fixture(scope="module")
def sounds(exported, tmp_path_factory):
    """One folder for each class of the model, with seven clips each."""
    folder = tmp_path_factory.mktemp("data") / "sounds"
    for place, label in enumerate(exported[0]["labels"]):
        for number in range(10 * place, 10 * place + 7):
            write_sound(folder / label / f"clip{number}.wav", number)
    return folder


@pytest.fixture(scope="module")
def prepared(sounds, tmp_path_factory):
    """What the recipe makes of this folder."""
    save = tmp_path_factory.mktemp("save") / "prepared"
    prepare_data(sounds, save)
    return save


def path_of(folder, clip_id):
    """The file of a clip, and its class, which is the folder's name."""
    [path] = folder.rglob(f"{clip_id.rpartition('_')[2]}.wav")
    return path, path.parent.name


def probabilities(tagger, path):
    """All probabilities of a file, in the order of the model's labels."""
    found = {tag.label: tag.probability for tag in tagger.tag_file(path, 99)}
    return [found[label] for label in tagger.labels]


@pytest.mark.parametrize("split", ["train", "eval"])
def test_scores_are_those_of_scikit_learn(tagger, sounds, split):
    found = tagger.evaluate(sounds, split)
    clips = [path_of(sounds, clip_id) for clip_id in found.ids]
    assert len(set(clips)) == len(clips) == (25 if split == "train" else 5)
    assert found.labels == tagger.labels and not found.skipped
    probs = np.array([probabilities(tagger, path) for path, _ in clips])
    np.testing.assert_allclose(found.probs, probs, atol=1e-5)
    targets = np.array([[x == own for x in tagger.labels] for _, own in clips])
    np.testing.assert_array_equal(found.targets, targets)
    expected = average_precision_score(targets, probs, average="macro")
    assert found.metrics["mAP"] == pytest.approx(expected)
    assert 0.1 < expected < 0.95
    expected = roc_auc_score(targets, probs, average="macro")
    assert found.metrics["AUC"] == pytest.approx(expected)
    assert "accuracy" not in found.metrics


def test_f1_is_that_of_scikit_learn(exported, sounds):
    tagger = AudioTagger.from_pretrained(exported[1])
    limits = np.array([0.9, 0.2, 0.6, 0.4, 0.1])
    for given in (None, limits):
        tagger.engine.thresholds = given
        found = tagger.evaluate(sounds, "train")
        cut, said = (0.5, 0.5) if given is None else (limits, "per class")
        assert found.metrics["threshold"] == said
        tags = found.probs >= cut
        for average in ("micro", "macro"):
            expected = f1_score(
                found.targets, tags, average=average, zero_division=0
            )
            assert found.metrics[f"{average}_F1"] == pytest.approx(expected)


@pytest.mark.parametrize("options", [{}, {"window": 0.5, "hop": 0.2}])
def test_prepared_and_raw_data_have_the_same_scores(
    tagger, sounds, prepared, options
):
    raw = tagger.evaluate(sounds, "train", **options)
    same = tagger.evaluate(str(prepared), "train", num_workers=1, **options)
    assert len(raw.ids) == 25 and sorted(raw.ids) == sorted(same.ids)
    order = [same.ids.index(clip_id) for clip_id in raw.ids]
    np.testing.assert_allclose(raw.probs, same.probs[order], atol=1e-5)
    np.testing.assert_array_equal(raw.targets, same.targets[order])
    assert raw.metrics["mAP"] == pytest.approx(same.metrics["mAP"])


def test_classes_that_the_model_lacks(tagger, sounds, tmp_path, caplog):
    data = shutil.copytree(sounds, tmp_path / "data")
    for number in range(90, 94):
        write_sound(data / "Whistle" / f"clip{number}.wav", number)
    found = tagger.evaluate(data, "train")
    assert "Whistle" in caplog.text
    assert found.labels == tagger.labels
    own = [path_of(data, clip_id)[1] == "Whistle" for clip_id in found.ids]
    assert any(own) and not found.targets[np.array(own)].any()
    targets, probs = found.targets, found.probs
    expected = average_precision_score(targets, probs, average="macro")
    assert found.metrics["mAP"] == pytest.approx(expected)
