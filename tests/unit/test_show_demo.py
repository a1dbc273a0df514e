"""Tests of the table that ``make demo`` ends with.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import show_demo
import tiny_onnx

from fftp_tag import AudioTagger
from fftp_tag.data.prepare import prepare_custom
from fftp_tag.data.prepared import read_manifest
from fftp_tag.data.strong_labels import write_strong_labels
from fftp_tag.score.events import ClipEvents


def test_found_events_stand_beside_the_true_ones():
    """Right, missed, too short, and not there; in the order of time."""
    siren = ClipEvents(
        true=np.array([[5.0, 9.0], [0.0, 2.0]]),
        found=np.array([[0.5, 2.0], [5.0, 6.0]]),
    )
    beep = ClipEvents(np.zeros((0, 2)), np.array([[1.0, 3.0]]))
    paired = {"Siren": [siren], "Beep": [beep], "Hum": []}
    assert show_demo.list_rows(paired) == [
        ("Siren", [0.0, 2.0], [0.5, 2.0]),
        ("Beep", None, [1.0, 3.0]),
        ("Siren", None, [5.0, 6.0]),
        ("Siren", [5.0, 9.0], None),
    ]


def test_what_a_model_finds_is_shown(tmp_path, capsys):
    """Here, all of its own events of the first clips."""
    pytest.importorskip("matplotlib")
    tiny_onnx.write_model(tmp_path / "model.onnx", is_frame_level=True)
    data = tiny_onnx.write_clips(tmp_path / "sounds")
    prepared = tmp_path / "prepared"
    prepare_custom(data, prepared, sample_rate=tiny_onnx.RATE)
    tagger = AudioTagger.from_pretrained(tmp_path)
    events = {
        clip.id: [
            (x.start, x.end, x.label) for x in tagger.tag_long(clip.audio)
        ]
        for clip, _ in read_manifest(prepared, ["eval"])
    }
    write_strong_labels(prepared / "events.tsv", events)
    show_demo.main(str(tmp_path))
    printed = capsys.readouterr().out
    assert "100% of the true events are found" in printed
    assert " - " in printed and "missed" not in printed
    assert (tmp_path / "clip.png").is_file()
