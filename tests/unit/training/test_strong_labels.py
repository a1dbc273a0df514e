"""Tests of training with the times of sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from fftp_tag.data.strong_labels import make_frame_targets
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.training.strong_labels import (
    add_frame_targets,
    frame_loss,
    read_events,
)

HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
CLASSES = "index,mid,display_name\n0,/m/1,Dog\n1,/m/2,Siren\n"


@pytest.fixture
def read(tmp_path):
    """Reads the events of the clips a, b and c, of 1 s, from a table."""
    (tmp_path / "classes.csv").write_text(CLASSES)
    dataset = DynamicItemDataset({clip: {"duration": 1.0} for clip in "abc"})

    def read(*rows):
        table = tmp_path / "strong.tsv"
        table.write_text(HEADER + "".join(f"{row}\n" for row in rows))
        return read_events(str(table), dataset, tmp_path)

    return read


def test_events_of_known_clips_and_classes(read):
    rows = ["a\t0.2\t0.5\t/m/1", "a\t0.4\t3.0\t/m/2", "b\t\t\t"]
    unknown = ["a\t0.1\t0.2\t/m/9", "elsewhere\t0\t1\t/m/1"]
    events = {"a": [(0.2, 0.5, 0), (0.4, 1.0, 1)], "b": []}
    assert read(*rows, *unknown) == events
    for rows in ([], *([row] for row in unknown)):
        with pytest.raises(ValueError, match="strong.tsv"):
            read(*rows)


def test_targets_of_time_steps():
    times = np.arange(5) + 0.5
    events = [(1.0, 3.0, 0), (4.6, 4.7, 1)]  # the second between two centres
    targets = make_frame_targets(times, events, 2)
    assert targets.T.tolist() == [[0, 1, 1, 0, 0], [0, 0, 0, 0, 1]]


def test_targets_are_known_in_listed_clips_of_classes_with_events(
    read, tmp_path
):
    """Of a clip without events, too, but of no class without any."""
    read("a\t0.0\t0.5\t/m/2", "b\t\t\t")  # writes the table
    sig = torch.zeros(16000)
    clips = {
        clip: {"duration": 1.0, "sig": sig, "targets": 0} for clip in "abc"
    }
    dataset = DynamicItemDataset(clips)
    add_frame_targets(
        dataset,
        str(tmp_path / "strong.tsv"),
        tmp_path,
        n_classes=2,
        front_end=KaldiFbank(),
        embedding=FFTPEmbedding(128, 8, patch_frames=10, stride_frames=10),
    )
    for item, known, active in zip(
        dataset, ([0, 1], [0, 1], [0, 0]), (5, 0, 0)
    ):
        assert item["known"].tolist() == known
        assert item["frame_targets"].sum(0).tolist() == [0, active]
        assert item["frame_targets"][:active, 1].all()


def test_loss_is_that_of_known_time_steps():
    logits, targets = torch.randn(2, 5, 3), torch.rand(2, 5, 3)
    known = torch.zeros(2, 5, 3)
    known[0, :4, :2] = 1.0
    expected = bce(logits[0, :4, :2], targets[0, :4, :2])
    torch.testing.assert_close(frame_loss(logits, targets, known), expected)
    assert frame_loss(logits, targets, 0 * known) == 0
