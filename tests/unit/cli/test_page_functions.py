"""Tests of what the page computes; how it looks is tested in a browser.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import sys
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.cli import page as page_module
from speechbrain_fftp.cli.page import (
    build_page,
    check_upload,
    choose_windows,
    serve,
)
from speechbrain_fftp.inference import AudioTagger


@pytest.fixture(scope="module")
def tagger(exported):
    return AudioTagger.from_pretrained(exported[1])


@pytest.fixture(scope="module")
def functions(tagger):
    """What the page calls, by name. The page lives as long as they do."""
    page = build_page(tagger)
    yield {f.api_name: f.fn for f in page.fns.values()}
    page.results.cleanup()


@pytest.fixture
def clip(tmp_path):
    noise = 0.2 * np.random.default_rng(0).standard_normal(4 * 22050)
    sf.write(tmp_path / "clip.flac", noise, 22050)
    return str(tmp_path / "clip.flac")


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def test_tag_gives_what_the_tagger_gives(functions, tagger, clip):
    tags, picture, rows, table, path = functions["tag"](clip, 0.4)
    assert tags == {t.label: t.probability for t in tagger.tag_file(clip)}
    assert path == clip and read(picture.replace("tags.png", "events.csv"))
    events = tagger.tag_long(clip, threshold=0.4, **choose_windows(tagger, 4.0))
    assert 0 < len(events) == len(rows)
    lines = ["start,end,label,probability"]
    for event, row in zip(events, rows):
        numbers = (event.start, event.end, event.probability)
        assert [row[0], row[1], row[3]] == [round(x, 3) for x in numbers]
        label = event.label if "," not in event.label else f'"{event.label}"'
        lines.append(f"{row[0]},{row[1]},{label},{row[3]}")
    assert read(table).split("\n") == [*lines, ""]
    assert '"Bark, dog"' in read(functions["events"](clip, 0.05)[1])


def test_another_threshold_before_a_clip(functions):
    assert functions["events"](None, 0.3) == ([], None)


def test_errors_do_not_tell_where_the_file_is(functions, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF....WAVEfmt ")
    empty = tmp_path / "empty.wav"
    sf.write(empty, np.zeros(0), 16000)
    for path, message in ((broken, "not readable"), (empty, "no samples")):
        with pytest.raises(gr.Error) as caught:
            functions["tag"](str(path), 0.5)
        assert message in caught.value.message
        assert str(tmp_path) not in caught.value.message


def test_limits(clip, monkeypatch):
    assert check_upload(clip) == 4.0
    monkeypatch.setattr(page_module, "MAX_MINUTES", 3.9 / 60)
    with pytest.raises(ValueError, match="lasts 0.1 minutes"):
        check_upload(clip)
    size = os.path.getsize(clip) / 2**20
    monkeypatch.setattr(page_module, "MAX_MEGABYTES", size - 1e-3)
    with pytest.raises(ValueError, match="The file has 0 MB"):
        check_upload(clip)
    monkeypatch.setattr(page_module, "MAX_MEGABYTES", size)
    monkeypatch.setattr(page_module, "MAX_MINUTES", 4 / 60)
    assert check_upload(clip) == 4.0


@pytest.mark.parametrize(
    "longest, seconds, window",
    [(10.255, 3, 2), (10.255, 600, 10), (1.295, 3, 1.295)],
)
def test_windows_by_the_length(longest, seconds, window):
    found = choose_windows(SimpleNamespace(max_window=longest), seconds)
    assert found == {"window": window, "hop": window / 4}


def test_serve_is_for_this_machine_and_reports_nothing(
    exported, monkeypatch, capsys
):
    launched = []
    monkeypatch.setattr(
        gr.Blocks, "launch", lambda self, **k: launched.append((self, k))
    )
    monkeypatch.setattr(gr.Blocks, "block_thread", lambda self: None)
    serve(exported[1], port=7999)
    ((page, options),) = launched
    assert options["server_name"] == "127.0.0.1"
    assert options["server_port"] == 7999 and options["share"] is False
    assert options["max_file_size"] == 50 * 2**20
    assert page.analytics_enabled is False
    assert "http://127.0.0.1:7999" in capsys.readouterr().out


def test_without_gradio_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ImportError, match="pip install gradio matplotlib"):
        build_page(tagger=None)
