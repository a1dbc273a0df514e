"""Tests of training with the times of sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import math

import pytest
import torch

from speechbrain.augment import freq_domain, time_domain
from speechbrain.augment.augmenter import Augmenter
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_fftp.augment import waveform
from speechbrain_fftp.augment.mixup import Mixup
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.training.strong_labels import EventScores, StrongLabels

LABELS = ["Dog", "Siren", "Bell"]
MIDS = {"/m/1": "Dog", "/m/2": "Siren", "/m/3": "Bell"}
AUDIOSET = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
DCASE = "filename\tonset\toffset\tevent_label\n"
YOUTUBE = "--4gqARa_EJ"  # an id of YouTube
CLIPS = YOUTUBE, "c", "d", "e"
TRAIN = DynamicItemDataset({name: {"duration": 1.0} for name in CLIPS})
SAMPLES = 16000


def make_tagger(strides=None):
    torch.manual_seed(0)
    embedding = FFTPEmbedding(128, 24, 10, 5, strides)
    encoder = AST(128, 24, 1, 3, embedding, pooling="tokens")
    front_end = KaldiFbank(), DatasetNormalization()
    return Tagger(*front_end, encoder, FrameClassifier(24, len(LABELS)))


def make_labels(path, text, augmenters=(), **kwargs):
    path.write_text(text, "utf-8")
    about = LABELS, MIDS, TRAIN, make_tagger(**kwargs), dict(augmenters)
    return StrongLabels(path, *about)


@pytest.fixture
def strong(tmp_path):
    return make_labels(
        tmp_path / "strong.tsv",
        f"{AUDIOSET}{YOUTUBE}_30000\t0.2\t0.5\t/m/1\n"
        f"{YOUTUBE}_30000\t0.4\t0.9\t/m/2\nc\t0.301\t0.302\t/m/1\n"
        "elsewhere_0\t0\t1\t/m/3\nc\t0\t1\t/m/9\n",
    )


def test_steps_are_those_whose_centers_are_within_events(strong):
    wavs, targets = torch.zeros(3, SAMPLES), torch.eye(3)
    added = strong.add([YOUTUBE, "c", "d"], wavs, targets)
    # 98 frames of 25 ms every 10; a step is 10 of them, every 5.
    centers = [0.05 * n + (0.09 + 0.025) / 2 for n in range(18)]
    steps = added[:, 3:-1].view(3, 18, 3)
    expected = torch.zeros(3, 18, 3)
    expected[0, :, 0] = torch.tensor([0.2 <= t < 0.5 for t in centers])
    expected[0, :, 1] = torch.tensor([0.4 <= t < 0.9 for t in centers])
    nearest = min(range(18), key=lambda n: abs(centers[n] - 0.3015))
    expected[1, nearest, 0] = 1.0
    assert torch.equal(steps, expected)
    assert torch.equal(added[:, :3], targets)
    assert added[:, -1].tolist() == [1, 1, 0]


def slow_loss(logits, steps, clips, lengths):
    """Mean cross-entropy over clips with times, own steps, and two classes."""
    total, count = 0.0, 0
    for i in clips:
        for n in range(lengths[i]):
            for c in (0, 1):
                p = 1 / (1 + math.exp(-logits[i, n, c].item()))
                y = steps[i, n, c].item()
                total -= y * math.log(p) + (1 - y) * math.log(1 - p)
                count += 1
    return total / count


def test_loss_is_the_mean_over_own_steps_of_clips_and_classes_with_times(
    strong,
):
    wavs, theirs = torch.zeros(3, SAMPLES), torch.rand(3, 2)
    targets = strong.add([YOUTUBE, "c", "d"], wavs, torch.eye(3))
    steps = targets[:, 3:-1].view(3, 18, 3)
    targets = torch.cat([targets, theirs], 1)  # with a teacher's
    tokens, lengths = torch.randn(3, 18, 24), [18, 7, 18]
    tokens[1, 7:] = 0.0
    classifier = strong.tagger.classifier
    rest, loss = strong.compare(classifier, tokens, targets)
    assert torch.equal(rest, torch.cat([torch.eye(3), theirs], 1))
    logits = classifier.frame_logits(tokens)
    expected = slow_loss(logits, steps, [0, 1], lengths)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_mixtures_count_if_the_times_of_both_clips_are_known(strong):
    torch.manual_seed(0)
    ids = list(CLIPS) * 8
    wavs, targets = torch.zeros(32, SAMPLES), torch.zeros(32, 3)
    mixed = Mixup(prob=1.0)(
        wavs, torch.ones(32), strong.add(ids, wavs, targets)
    )[2]
    tokens = torch.randn(32, 18, 24)
    classifier = strong.tagger.classifier
    _, loss = strong.compare(classifier, tokens, mixed)
    steps = mixed[:, 3:-1].view(32, 18, 3)
    both = (mixed[:, -1] > 0.999).nonzero().flatten().tolist()
    assert 2 < len(both) < 16
    assert ((0.01 < steps[both]) & (steps[both] < 0.99)).any()
    logits = classifier.frame_logits(tokens)
    expected = slow_loss(logits, steps, both, [18] * 32)
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_batch_without_times_has_no_loss(strong):
    wavs, targets = torch.zeros(2, SAMPLES), torch.zeros(2, 3)
    tokens = torch.randn(2, 18, 24, requires_grad=True)
    added = strong.add(["d", "e"], wavs, targets)
    rest, loss = strong.compare(strong.tagger.classifier, tokens, added)
    assert loss.item() == 0
    loss.backward()
    assert not tokens.grad.any()


def test_what_is_left_out_is_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    text = (
        "c\t0\t1\tDog\nc\t0\t2\tCat\nd\t0\t2\tCat\nd\t0\t2\tOwl\nf\t0\t1\tDog\n"
    )
    make_labels(tmp_path / "strong.tsv", DCASE + text)
    assert "skipped 3 events of 2 other classes, such as Cat" in caplog.text
    assert "times of 1 of 3 classes in 2 of 4 training clips" in caplog.text


@pytest.mark.parametrize(
    "text, message",
    [
        ("a,b\n1,2\n", "needs the tab-separated columns segment_id, start_"),
        (DCASE + "c\t2\t1\tDog\n", "line 2: an event must end after its start"),
        (DCASE + "c\t2\tx\tDog\n", "line 2: could not convert string to float"),
        (DCASE + "c\t2\n", "line 2"),
        (DCASE + "f\t0\t1\tDog\n", "no clip of the train split: it lists 'f'"),
        (DCASE + "c\t0\t1\tCat\n", r"no event .* labels are such as \['Cat'\]"),
        (DCASE + "c\n", "no event of the train split"),
        (DCASE + "c\t1\t2\tDog\n", "all events begin after their clip ends"),
    ],
)
def test_errors(tmp_path, text, message):
    path = tmp_path / "strong.tsv"
    with pytest.raises(ValueError, match=message) as error:
        make_labels(path, text)
    assert str(path) in str(error.value)


def test_strides_and_shards_are_refused(tmp_path):
    text = DCASE + "c\t0\t1\tDog\n"
    with pytest.raises(ValueError, match="strong_labels and strides cannot"):
        make_labels(tmp_path / "strong.tsv", text, strides=[5, 10])
    with pytest.raises(ValueError, match="strong_labels needs format: flac"):
        about = LABELS, MIDS, None, make_tagger(), {}
        StrongLabels(tmp_path / "strong.tsv", *about)


def test_events_after_the_end_of_their_clip_are_dropped(tmp_path, caplog):
    """Of a recording of which only the beginning is used."""
    rows = "c\t1.0\t1.5\tDog\nc\t7\t8\tSiren\nc\t0.95\t4\tBell\nd\t1\t2\tDog\n"
    strong = make_labels(tmp_path / "strong.tsv", DCASE + rows)
    assert caplog.text.count("strong.tsv: dropped 3 events that begin") == 1
    added = strong.add(["c", "d"], torch.zeros(2, SAMPLES), torch.zeros(2, 3))
    steps = added[:, 3:-1].view(2, 18, 3)
    assert steps.nonzero().tolist() == [[0, 17, 2]]  # the bell, at the end
    assert added[:, -1].tolist() == [1, 1]


def augmenters(*augmentations):
    number = {"min_augmentations": 1, "max_augmentations": 1}
    augmenter = Augmenter(augmentations=list(augmentations), **number)
    return {"wav_augment": augmenter}


@pytest.mark.parametrize(
    "augmentation",
    [
        waveform.RandomShift(100),
        time_domain.SpeedPerturb(16000, [80]),
        freq_domain.RandomShift(),
        freq_domain.Warping(),
    ],
)
def test_augmentations_that_move_sounds_are_refused(tmp_path, augmentation):
    found = augmenters(waveform.RandomGain(6.0), augmentation)
    name = type(augmentation).__name__
    with pytest.raises(ValueError, match=f"{name} .*remove it from wav_augm"):
        text = DCASE + "c\t0\t1\tDog\n"
        make_labels(tmp_path / "strong.tsv", text, augmenters=found)


def test_other_augmentations_are_not_refused(tmp_path):
    found = augmenters(
        waveform.RandomGain(6.0),
        time_domain.DropChunk(),
        time_domain.AddNoise(),
        freq_domain.RandomShift(dim=2),
    )
    text = DCASE + "c\t0\t1\tDog\n"
    for each in (found, {"wav_augment": None}):
        make_labels(tmp_path / "strong.tsv", text, augmenters=each)


def test_tables_to_score_on_are_read_before_the_training(tmp_path):
    pytest.importorskip("psds_eval")
    path, data = tmp_path / "strong.tsv", {"eval": TRAIN}
    path.write_text(DCASE + "c\t0\t1\tDgo\n", "utf-8")
    with pytest.raises(ValueError, match="no event of the eval split") as error:
        EventScores({"eval": path}, data, MIDS)
    assert f"{path} has" in str(error.value) and "'Dgo'" in str(error.value)
    path.write_text(DCASE + "c\t0\t1\tDog\n", "utf-8")
    EventScores({"valid": None, "eval": path}, data, MIDS)
