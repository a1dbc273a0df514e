"""Tests of the table that ``make demo`` ends with.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import pytest
import show_demo
import tiny_onnx

from fftp_tag import AudioTagger
from fftp_tag.data.clips import Clip
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
    assert re.search(r"^(\d+) of \1 are found, and 0 others", printed, re.M)
    assert (tmp_path / "clip.png").is_file()


def test_the_table_is_counted():
    """A true event that is found, one that is missed, and one beside."""
    times = [1.0, 2.0], [1.1, 2.1]
    rows = [("A", *times), ("B", times[0], None), ("A", None, times[1])]
    assert show_demo.count_rows(rows) == (1, 1)


def test_clips_are_the_first_that_have_ten_events():
    """Whatever their sounds are, and whatever is found in them."""
    clips = [Clip(str(n), None, (), "eval") for n in range(9)]
    counts = [3, 0, 3, 2, 1, 2, 3, 0, 1]
    truth = {clip.id: [()] * n for clip, n in zip(clips, counts)}
    found = show_demo.first_clips(clips, truth)
    assert [clip.id for clip in found] == ["0", "1", "2", "3", "4", "5"]
    assert show_demo.first_clips(clips[:2], truth) == clips[:2]
