"""Tests of the table that ``make demo`` ends with.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import show_demo
import tiny_onnx

from fftp_tag import AudioTagger
from fftp_tag.data.prepare import prepare_custom
from fftp_tag.data.prepared import read_manifest
from fftp_tag.data.strong_labels import write_strong_labels


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
