"""Tests of the protocol for prepared folders.

Authors
 * The speechbrain_fftp authors 2026
"""

import multiprocessing
import os
import signal
import sys

import pytest

from speechbrain_fftp.dataio.files import atomic_path
from speechbrain_fftp.datasets.prepared import prepare_folder, source_state

NAMES = {"tables": ("list.csv",), "parts": ("flac", "noise")}
RATE = {"rate": 16000, "splits": ("train", "eval")}
FLAC = {"tables": ("list.csv",), "parts": ("flac",), "resume": ("flac",)}


def work(folder, source="1", place=None, ready=None):
    """Prepares a folder file by file; kills itself, or stays, at a place."""

    def reach(name):
        if name == place and ready is not None:
            ready.set()
            signal.pause()
        if name == place:
            os.kill(os.getpid(), signal.SIGKILL)

    written = []
    with prepare_folder(folder, {}, source, **FLAC) as todo:
        reach("begin")
        (folder / "flac").mkdir(exist_ok=True)
        for name in "ab":
            if todo and not (folder / "flac" / name).exists():
                with atomic_path(folder / "flac" / name) as temporary_path:
                    open(temporary_path, "w").write(source)
                    reach("temporary")
                written.append(name)
                reach("file")
        if todo:
            (folder / "list.csv").touch()
        reach("end")
    return todo, written


def start(*arguments):
    process = multiprocessing.get_context("fork").Process(
        target=work, args=arguments
    )
    process.start()
    return process


def kill_at(*arguments):
    """Prepares a folder in a process that is killed at a place."""
    killed = start(*arguments)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL


def fill(folder, text="1"):
    for name in ("flac", "noise"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "a").write_text(text)
    (folder / "list.csv").write_text(text)


def prepare(folder, settings=RATE, source="one file", **options):
    """Whether there was something to do, which is then done."""
    options = {**NAMES, **options}
    with prepare_folder(folder, settings, source, **options) as todo:
        if todo:
            fill(folder)
    return todo


def test_other_content_is_refused(tmp_path):
    (tmp_path / "noise").mkdir()
    (tmp_path / "list.csv").write_text("precious")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="something else.*list.csv, noise"):
        prepare(tmp_path)
    assert (tmp_path / "list.csv").read_text() == "precious"
    (tmp_path / "noise").rmdir()
    (tmp_path / "list.csv").unlink()
    assert prepare(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def fail(folder, content="2", **options):
    """An attempt that ends with an error."""
    with pytest.raises(KeyError), prepare_folder(
        folder, **{"settings": RATE, "source": "one file", **NAMES, **options}
    ):
        fill(folder, content)
        raise KeyError
    assert not (folder / "prepared.json").exists()


def names_in(folder):
    return sorted(set(os.listdir(folder)) - {"preparing.lock"})


def present(folder):
    names = ("flac/a", "noise/a", "list.csv")
    return [name for name in names if (folder / name).exists()]


@pytest.mark.parametrize(
    "change", [{"source": "two files"}, {"settings": {**RATE, "rate": 8000}}]
)
def test_nothing_of_an_attempt_with_other_data_stays(tmp_path, change):
    fail(tmp_path, resume=("flac",))
    options = {"settings": RATE, "source": "one file", **NAMES, **change}
    with prepare_folder(tmp_path, resume=("flac",), **options) as todo:
        assert todo and present(tmp_path) == []


def test_link_to_a_folder_elsewhere_is_removed_not_its_content(tmp_path):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    fail(folder)
    (folder / "noise").rename(elsewhere)
    (folder / "noise").symlink_to(elsewhere)
    assert prepare(folder)
    assert not (folder / "noise").is_symlink()
    assert (elsewhere / "a").read_text() == "2"
    fail(tmp_path / "other")
    (tmp_path / "other" / "flac").rename(tmp_path / "disk")
    (tmp_path / "other" / "flac").symlink_to(tmp_path / "disk")
    assert prepare(tmp_path / "other", resume=("flac",))
    assert (tmp_path / "other" / "flac").is_symlink()


@pytest.mark.parametrize(
    "place, missing",
    [("begin", "ab"), ("temporary", "ab"), ("file", "b"), ("end", "")],
)
def test_killed_preparation_goes_on(tmp_path, place, missing):
    kill_at(tmp_path, "1", place)
    assert work(tmp_path) == (True, list(missing))
    assert names_in(tmp_path) == ["flac", "list.csv", "prepared.json"]
    assert sorted(os.listdir(tmp_path / "flac")) == ["a", "b"]
    assert work(tmp_path) == (False, [])


@pytest.mark.parametrize("number", range(1, 8))
def test_no_kill_makes_a_folder_useless(tmp_path, number):
    """Neither when it is begun again with another source."""
    kill_at(tmp_path, "1", "end")

    def struck():
        seen = []

        def audit(event, args):
            if event in ("open", "os.rename", "os.remove", "os.rmdir"):
                if str(args[0]).startswith(str(tmp_path)):
                    seen.append(event)
                    if len(seen) == number:
                        os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(audit)
        work(tmp_path, "2")

    process = multiprocessing.get_context("fork").Process(target=struck)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert work(tmp_path, "2")[0]
    assert (tmp_path / "flac" / "a").read_text() == "2"
    assert names_in(tmp_path) == ["flac", "list.csv", "prepared.json"]
    assert sorted(os.listdir(tmp_path / "flac")) == ["a", "b"]


def test_folder_is_locked_while_it_is_written(tmp_path):
    ready = multiprocessing.get_context("fork").Event()
    other = start(tmp_path, "1", "file", ready)
    try:
        assert ready.wait(60)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="being prepared") as error:
                work(tmp_path)
            assert str(tmp_path) in str(error.value)
    finally:
        other.kill()
        other.join()
    assert work(tmp_path) == (True, ["b"])


def test_source_state_notices_every_change(tmp_path):
    root = tmp_path / "data"
    paths = [root / name for name in ("a.wav", "b/c.wav", "bell\udce9.wav")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"RIFF")
    states = [source_state(paths, root)]
    assert states[0].startswith("3 files, 12 bytes, ")
    assert source_state(map(str, paths[::-1] + paths), root) == states[0]
    root.rename(tmp_path / "moved")
    moved = [tmp_path / "moved" / path.relative_to(root) for path in paths]
    assert source_state(moved, tmp_path / "moved") == states[0]
    (tmp_path / "moved").rename(root)

    states.append(source_state(paths[1:], root))
    paths[0].write_bytes(b"RIFX")  # same name and size
    states.append(source_state(paths, root))
    time = paths[0].stat().st_mtime_ns
    paths[0].write_bytes(b"RIFX more")
    os.utime(paths[0], ns=(time, time))
    states.append(source_state(paths, root))
    paths[0].unlink()
    states.append(source_state(paths, root))
    assert len(set(states)) == len(states)
