"""Tests of the protocol for prepared folders.

Authors
 * The speechbrain_fftp authors 2026
"""

import multiprocessing
import os
import signal

import pytest

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import atomic_path
from speechbrain_fftp.datasets.prepared import is_complete, prepare_folder

RATE = {"rate": 16000, "splits": ("train", "eval")}


def prepare(folder, settings=RATE, source="one", place=None, ready=None):
    """Writes two clips; kills its process, or waits, at a place.

    Returns the clips that it has written; None if the folder was complete.
    """

    def reach(name):
        if name == place and ready is not None:
            ready.set()
            signal.pause()
        if name == place:
            os.kill(os.getpid(), signal.SIGKILL)

    written = []
    with prepare_folder(folder, settings, source) as to_do:
        if not to_do:
            return None
        reach("begin")
        (folder / "wav").mkdir(exist_ok=True)
        for name in "ab":
            if not (folder / "wav" / name).exists():
                with atomic_path(folder / "wav" / name) as temporary_path:
                    open(temporary_path, "w").write(source)
                    reach("temporary")
                written.append(name)
                reach("file")
        reach("end")
    return written


def start(*arguments):
    process = multiprocessing.get_context("fork").Process(
        target=prepare, args=arguments
    )
    process.start()
    return process


@pytest.mark.parametrize(
    "place, missing",
    [("begin", "ab"), ("temporary", "ab"), ("file", "b"), ("end", "")],
)
def test_killed_preparation_goes_on(tmp_path, place, missing):
    killed = start(tmp_path, RATE, "one", place)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert not is_complete(tmp_path)
    assert prepare(tmp_path) == list(missing)
    assert is_complete(tmp_path)
    assert sorted(os.listdir(tmp_path / "wav")) == ["a", "b"]
    assert prepare(tmp_path) is None


@pytest.mark.parametrize(
    "change", [{"source": "two"}, {"settings": {**RATE, "rate": 8000}}]
)
def test_other_settings_or_sources(tmp_path, change):
    """A complete folder is refused; an incomplete one is begun again."""
    complete = tmp_path / "complete"
    prepare(complete)
    with pytest.raises(ValueError, match=str(complete)):
        prepare(complete, **change)
    killed = start(tmp_path / "begun", RATE, "one", "end")
    killed.join()
    assert prepare(tmp_path / "begun", **change) == ["a", "b"]


def test_other_content_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text("precious")
    with pytest.raises(ValueError, match="train.csv"):
        prepare(tmp_path)
    assert (tmp_path / "train.csv").read_text() == "precious"


def test_a_folder_is_prepared_by_one_process(tmp_path):
    ready = multiprocessing.get_context("fork").Event()
    other = start(tmp_path, RATE, "one", "file", ready)
    assert ready.wait(30)
    with pytest.raises(InputError, match=str(tmp_path)):
        prepare(tmp_path)
    other.kill()
    other.join()
    assert prepare(tmp_path) == ["b"]
