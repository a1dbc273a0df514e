"""Tests of AudioTagger in a pool of processes, as docs/archives.md shows it.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from tiny_onnx import RATE, sounds, write_model

from fftp_tag import AudioTagger
from fftp_tag.errors import InputError
from fftp_tag.model.session import load_same

PAGE = Path(__file__).resolve().parents[3] / "docs/archives.md"


def test_a_pickle_is_the_file_that_it_was(tmp_path, monkeypatch):
    """It has no weights, holds from any folder, and notices another model."""
    monkeypatch.chdir(tmp_path)
    tagger = AudioTagger.from_pretrained(write_model("a.onnx"), threads=1)
    content = pickle.dumps(tagger)
    assert len(content) < os.path.getsize("a.onnx")
    (tmp_path / "b").mkdir()
    monkeypatch.chdir("b")
    again = pickle.loads(content)
    wav = sounds(3)
    assert again.tag_long(wav, RATE) == tagger.tag_long(wav, RATE)
    assert again.model.threads == 1
    assert pickle.loads(content).model.session is again.model.session
    load_same.cache_clear()  # as in another process
    write_model("../a.onnx", in_silence=0.1)
    with pytest.raises(InputError, match="a.onnx is another"):
        pickle.loads(content)


def children(process):
    """Processes that a process has started, the oldest first."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


@pytest.mark.parametrize("killed", ["a worker", "all"])
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_the_page_gives_the_answers_of_one_process(tmp_path, killed):
    code, _ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    code = code.replace("os.cpu_count()", "2")
    (tmp_path / "tag_archive.py").write_text(code)
    rng = np.random.default_rng(0)
    for number in range(12):
        noise = rng.uniform(-0.5, 0.5, (40, 16000)) * rng.uniform(0, 1, (40, 1))
        path = tmp_path / "archive" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        sf.write(path, noise.reshape(-1), 16000)
    (tmp_path / "archive/no.wav").write_text("no sound")
    command = [sys.executable, "tag_archive.py", "archive", "events.jsonl"]
    output = tmp_path / "events.jsonl"
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    while not output.exists() or output.read_bytes().count(b"\n") < 2:
        assert process.poll() is None
        time.sleep(0.01)
    pid = process.pid if killed == "all" else children(process)[-1]
    os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode != 0
    before = output.read_text()
    assert 2 <= before.count("\n") < 13
    output.write_text(before + '{"file": "archive/9')  # is cut
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    count = 13 - before.count("\n")
    first, second, *failed = done.stdout.splitlines()
    assert first.startswith("13 files") and f" {count} of them" in first
    assert second.startswith("1 ") and failed == ["archive/no.wav"]
    tagger, found = AudioTagger.from_pretrained("starter"), {}
    for line in output.read_text().splitlines():
        if line != '{"file": "archive/9':
            row = json.loads(line)
            assert row["file"] not in found
            found[row["file"]] = row.get("events", row.get("error"))
    assert len(found) == 13 and "no.wav" in found.pop("archive/no.wav")
    for file, events in found.items():
        expected = tagger.tag_long(tmp_path / file)
        assert events == [event.to_dict() for event in expected]
    assert any(found.values())
