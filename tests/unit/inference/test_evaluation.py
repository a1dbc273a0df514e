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


def test_data_that_cannot_be_scored(tagger, sounds, prepared, tmp_path):
    for number in range(8):
        label = ("Whistle", "Drum")[number % 2]
        write_sound(tmp_path / "other" / label / f"{number}.wav", number)
    with pytest.raises(ValueError, match="Drum, Whistle"):
        tagger.evaluate(tmp_path / "other")
    with pytest.raises(ValueError, match="'test'"):
        tagger.evaluate(sounds, "test")
    partial = shutil.copytree(prepared, tmp_path / "partial")
    (partial / "eval.csv").unlink()
    with pytest.raises(ValueError, match="eval.csv"):
        tagger.evaluate(partial)


def test_audioset_with_several_labels_and_a_missing_file(tagger, tmp_path):
    classes = "index,mid,display_name\n0,/m/1,Siren\n1,/m/2,Rain\n"
    (tmp_path / "class_labels_indices.csv").write_text(classes, "utf-8")
    labels = ["/m/1", "/m/2", "/m/1,/m/2", "/m/2", "/m/1"]
    lines = [f'clip{n}, 0.0, 10.0, "{x}"\n' for n, x in enumerate(labels)]
    for name in ("balanced_train", "eval"):
        path = tmp_path / f"{name}_segments.csv"
        path.write_text("".join(lines), "utf-8")
    for number in range(4):
        write_sound(tmp_path / "audio" / f"clip{number}.wav", number)
    with pytest.raises(
        ValueError, match="no valid split: choose one of .*eval"
    ):
        tagger.evaluate(tmp_path, "valid")
    with pytest.raises(ValueError, match="1 of 5"):
        tagger.evaluate(tmp_path, allow_missing=0.1)
    found = tagger.evaluate(tmp_path, allow_missing=0.2)
    assert found.skipped == {"clip4": "missing file"}
    assert found.ids == [f"clip{number}" for number in range(4)]
    assert found.labels == ["Siren", "Rain"]
    expected = [[1, 0], [0, 1], [1, 1], [0, 1]]
    assert found.targets.tolist() == expected


def test_unreadable_clips_are_skipped(
    tagger, sounds, prepared, tmp_path, caplog
):
    whole = tagger.evaluate(sounds, "train")
    data = shutil.copytree(sounds, tmp_path / "data")
    save = shutil.copytree(prepared, tmp_path / "save")
    bad = whole.ids[3]
    path_of(data, bad)[0].write_text("no audio", "utf-8")
    (save / "flac" / f"{bad}.flac").unlink()
    for folder in (data, save):
        caplog.clear()
        found = tagger.evaluate(folder, "train")
        assert list(found.skipped) == [bad] and "\n" not in found.skipped[bad]
        assert "1 clips are not scored" in caplog.text
        assert found.metrics["num_clips"] == len(found.ids) == 24
        assert set(found.ids) == {*whole.ids} - {bad}
    assert f"{bad}.flac" in found.skipped[bad]


def test_data_without_splits_are_scored_as_a_whole(tagger, sounds, prepared):
    found = tagger.evaluate(sounds)
    assert found.split == "all" and len(found.ids) == 35
    assert tagger.evaluate(prepared).split == "eval"
    whole = tagger.evaluate(prepared, "all")
    assert sorted(whole.ids) == sorted(found.ids)
    order = [whole.ids.index(clip) for clip in found.ids]
    np.testing.assert_array_equal(whole.targets[order], found.targets)
    np.testing.assert_allclose(whole.probs[order], found.probs, atol=1e-5)


@pytest.mark.parametrize("column", ["split", "fold"])
def test_given_splits_are_respected_and_not_demanded(tagger, tmp_path, column):
    rows = [f"path,labels,{column}"]
    for number in range(4):
        write_sound(tmp_path / f"{number}.wav", number)
        label = "Siren" if number % 2 else "Rain"
        rows.append(
            f"{number}.wav,{label},{'test' if column == 'split' else 1}"
        )
    (tmp_path / "clips.csv").write_text("\n".join(rows), "utf-8")
    found = tagger.evaluate(tmp_path, "all")
    assert len(found.ids) == 4 and found.metrics["num_classes_scored"] == 2
    if column == "fold":
        with pytest.raises(ValueError, match="the folds 1"):
            tagger.evaluate(tmp_path)


def test_silent_clips_are_one_line_of_the_log(tagger, tmp_path, caplog):
    for label in tagger.labels[:2]:
        write_sound(tmp_path / label / "sound.wav", 1)
        for name in ("a.wav", "b.wav"):
            sf.write(tmp_path / label / name, np.zeros(RATE), RATE)
    tagger.evaluate(str(tmp_path))
    [line] = [x for x in caplog.messages if "silent" in x]
    assert line.startswith("4 ")
    tagger.tag_file(tmp_path / tagger.labels[0] / "a.wav")
    assert "a.wav" in caplog.messages[-1]  # of a single file, as before
