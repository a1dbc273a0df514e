"""Tests of what lasts, an index and folders of results and of answers: two commands
at once, and kills at any byte.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import os
import random
import re
import resource
import signal
import time
from unittest import mock

import numpy as np
import pytest
import soundfile as sf
import tiny_onnx
from tiny_onnx import RATE
from two_at_once import FORKS, MAX_SECONDS, is_killed, run_alone, run_two

from fftp_tag import AudioTagger
from fftp_tag.cli.main import main
from fftp_tag.data.prepared import AUDIO, convert_clips
from fftp_tag.data.reviewed import TABLE, Answer, ReviewFolder, read_answers
from fftp_tag.errors import InputError
from fftp_tag.held import LOCK, held
from fftp_tag.search import index
from fftp_tag.search.index import SoundIndex, update_index

IN_USE = r"lock is held by (process \d+ on .*, since .*|another process): wait"
# That two commands start at once
TIMES = pytest.mark.parametrize(
    "times", [4, pytest.param(100, marks=pytest.mark.slow)]
)
ANSWER = Answer(
    "days", "1.wav", 0.0, 1.0, "Low", 0.5, "yes", "Low", "top", "0f1e", ""
)


@pytest.fixture
def sounds(tmp_path):
    """A model, and a folder of recordings."""
    folder = tmp_path / "sounds"
    (folder / "west").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.wav", "b.wav", "west/a.wav", "west/c.wav"):
        wav = 0.1 * rng.standard_normal(6 * RATE)
        sf.write(folder / name, wav, RATE, "FLOAT")
    model = tiny_onnx.write_model(tmp_path / "model.onnx", is_frame_level=True)
    return str(model), folder


def results(folder):
    """Each file in a folder, but what tells when it was written."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.jsonl"
    }


def rows_of(folder):
    """The lines of its manifest."""
    text = (folder / "manifest.jsonl").read_text()
    rows = []
    for line in text.splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # cut by a kill
            rows.append(None)
    return rows


def test_who_holds_it_is_named(tmp_path):
    lock = tmp_path / "new" / LOCK
    with held(lock):
        with pytest.raises(InputError, match=IN_USE):
            with held(lock, wait=0):
                pass
        assert lock.exists()
    assert not (tmp_path / "new").exists()
    (tmp_path / "kept").mkdir()
    with held(tmp_path / "kept" / LOCK):
        pass
    assert list((tmp_path / "kept").iterdir()) == []


def hold_and_die(lock, is_held):
    """Ends as a killed process does: nothing is tidied."""
    with held(lock):
        is_held.set()
        signal.pause()


def test_a_killed_process_holds_nothing(tmp_path):
    lock, is_held = tmp_path / "new" / LOCK, FORKS.Event()
    process = FORKS.Process(target=hold_and_die, args=(lock, is_held))
    process.start()
    assert is_held.wait(MAX_SECONDS)
    with pytest.raises(InputError, match=f"process {process.pid} on"):
        with held(lock, wait=0):
            pass
    process.kill()
    process.join()
    with held(lock, wait=0):
        pass


@TIMES
def test_two_write_a_folder_of_results(sounds, tmp_path, times):
    model, folder = sounds
    options = ["--timeline", "--model", model, "--threads", "1", "--continue"]
    alone = tmp_path / "alone"
    assert main([str(folder), *options, "--output", str(alone)]) == 0
    for number in range(times):
        output = tmp_path / f"found{number}"
        command = [str(folder), *options, "--output", str(output)]
        (first, _), (second, errors) = run_two(command, command)
        assert first == 0
        assert second == 0 or re.search(IN_USE, errors), errors
        assert results(output) == results(alone)
        header, *rows = rows_of(output)
        expected, *others = rows_of(alone)
        assert header == expected
        assert sorted(map(str, rows)) == sorted(map(str, others))
        assert not (output / LOCK).exists()


def spans(path):
    """What is in an index."""
    return {
        name: (file.identity, file.times.tolist(), file.rows.tolist())
        for name, file in SoundIndex.load(path).files.items()
    }


@TIMES
def test_two_write_an_index(sounds, tmp_path, times):
    model, folder = sounds
    command = ["index", str(folder), "--model", model, "--threads", "1"]
    alone = tmp_path / "alone.index"
    assert main([*command, "--output", str(alone)]) == 0
    for number in range(times):
        output = tmp_path / f"{number}.index"
        given = [*command, "--output", str(output)]
        (first, _), (second, errors) = run_two(given, given)
        assert first == 0
        assert second == 0 or re.search(IN_USE, errors), errors
        assert spans(output) == spans(alone)
    assert not list(tmp_path.glob("*.lock")) + list(tmp_path.glob("*.tmp"))


def add_answers(folder, recording, count, together, outcomes):
    """Holds a folder and writes answers, as the command does."""
    together.wait()
    try:
        with held(folder / LOCK):
            answers = ReviewFolder(folder)
            for start in range(count):
                answers.add(
                    ANSWER._replace(
                        recording=recording, start=start, end=start + 1
                    )
                )
    except InputError as error:
        outcomes.put(str(error))
        return
    outcomes.put(recording)


@TIMES
def test_two_review_a_folder(tmp_path, times):
    """What the one that holds it has written is there, and all of it."""
    for number in range(times):
        folder = tmp_path / str(number)
        together, outcomes = FORKS.Barrier(2), FORKS.Queue()
        processes = [
            FORKS.Process(
                target=add_answers,
                args=(folder, name, 20, together, outcomes),
            )
            for name in ("1.wav", "2.wav")
        ]
        for process in processes:
            process.start()
        found = [outcomes.get(timeout=MAX_SECONDS) for _ in processes]
        for process in processes:
            process.join()
        wrote = [x for x in found if x.endswith(".wav")]
        refused = [x for x in found if x not in wrote]
        assert wrote and all(re.search(IN_USE, x) for x in refused)
        rows = read_answers(folder)
        assert sorted((x.recording, x.start) for x in rows) == [
            (name, float(start))
            for name in sorted(wrote)
            for start in range(20)
        ]
        assert [x.name for x in folder.iterdir()] == [TABLE]


def answer_all(folder, count):
    """Goes on with a review, of which each candidate has an answer once."""
    with held(folder / LOCK):
        answers = ReviewFolder(folder)
        for start in range(len(answers.answers), count):
            answers.add(ANSWER._replace(start=start + 0.0, end=start + 1.0))


def random_bytes(size, count=20):
    """At which to kill; the first and the last one of a file among them."""
    draws = random.Random(0).sample(range(1, size - 1), count - 2)
    return [0, *sorted(draws), size - 1]


def test_kills_of_a_review(tmp_path):
    answer_all(tmp_path / "alone", 12)
    undisturbed = (tmp_path / "alone" / TABLE).read_bytes()
    for at in random_bytes(len(undisturbed)):
        folder = tmp_path / str(at)
        assert is_killed(answer_all, folder, 12, at=at or 1)
        before = ReviewFolder(folder).answers  # a part, from the beginning
        assert before == read_answers(tmp_path / "alone")[: len(before)]
        lines = undisturbed[:at].count(b"\n")
        assert len(before) == max(lines - 1, 0)
        answer_all(folder, 12)
        assert (folder / TABLE).read_bytes() == undisturbed
        assert [x.name for x in folder.iterdir()] == [TABLE]


def test_kills_of_a_folder_of_results(sounds, tmp_path):
    """At any byte of the manifest, and of what it is longer than."""
    model, folder = sounds
    options = ["--timeline", "--model", model, "--threads", "1", "--continue"]
    command = [str(folder), *options, "--output"]
    alone = tmp_path / "alone"
    assert main([*command, str(alone)]) == 0
    size = (alone / "manifest.jsonl").stat().st_size
    for at in random_bytes(size):
        output = tmp_path / str(at)
        assert is_killed(main, [*command, str(output)], at=at or 1)
        assert main([*command, str(output)]) == 0
        assert results(output) == results(alone)
        assert main([*command, str(output)]) == 0  # all is done
        rows = [row for row in rows_of(output) if row is not None]
        assert rows[0] == rows_of(alone)[0] and "file" not in rows[0]
        files = {row["file"]: row for row in rows[1:]}
        assert files == {row["file"]: row for row in rows_of(alone)[1:]}


def index_and_die(arguments, size):
    """Makes an index, of which no more than a size is written."""
    write = index.write_entries

    def limited(*given):
        """The limit is that of this file, not of the model's."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, -1))
        write(*given)

    with mock.patch.object(index, "write_entries", limited):
        main(arguments)


def test_kills_of_an_index(sounds, tmp_path):
    """What was there before stays; the next call goes on."""
    model, folder = sounds
    command = ["index", str(folder), "--model", model, "--threads", "1"]
    alone, path = tmp_path / "alone.index", tmp_path / "a.index"
    assert main([*command, "--output", str(alone)]) == 0
    given = [*command, "--output", str(path)]
    hidden = folder / "west" / "c.wav"
    hidden.rename(tmp_path / "c.wav")
    assert main(given) == 0
    before = path.read_bytes()
    (tmp_path / "c.wav").rename(hidden)
    size = alone.stat().st_size
    for at in random_bytes(size):
        path.write_bytes(before)
        assert is_killed(index_and_die, given, at, at=-1)
        assert path.read_bytes() == before
        assert list(tmp_path.glob("a.index.*.tmp"))
        assert main(given) == 0
        assert spans(path) == spans(alone)
        assert not list(tmp_path.glob("a.index.*"))


def test_an_index_is_held(sounds, tmp_path):
    model, folder = sounds
    with held(tmp_path / "a.index.lock"):
        tagger = AudioTagger.from_pretrained(model)
        with pytest.raises(InputError, match=IN_USE):
            update_index(tmp_path / "a.index", tagger, folder)


@pytest.mark.parametrize(
    "label", ["=1+1", "@x", "+y", "'=1", "''+", "'s wind", "-dash"]
)
def test_a_class_is_no_formula_in_the_table(tmp_path, label):
    answer = ANSWER._replace(asked=label, label=label, recording=f"{label}.wav")
    ReviewFolder(tmp_path).add(answer)
    assert read_answers(tmp_path) == [answer]
    text = (tmp_path / TABLE).read_text("utf-8")
    for row in csv.reader(text.splitlines()):
        assert not any(cell.startswith(tuple("=+@")) for cell in row)


def test_leftovers_of_a_kill_are_removed_later(tmp_path):
    """Not those that another process may be writing."""
    path = tmp_path / "model.onnx"
    old, new = (tmp_path / f"model.onnx.0123456{x}.tmp" for x in "78")
    others = tmp_path / "model.onnx.mine.tmp"
    for leftover in (old, new, others):
        leftover.write_bytes(b"half")
    for leftover in (old, others):
        os.utime(leftover, times=(time.time() - 3601,) * 2)
    tiny_onnx.write_model(path)
    assert {*tmp_path.iterdir()} == {path, new, others}


def test_leftovers_of_a_killed_preparation_are_removed_by_the_next(tmp_path):
    audio = tmp_path / AUDIO
    audio.mkdir()
    old, mine = (audio / f"clip.wav.{x}.tmp" for x in ("01234567", "mine"))
    for path in (old, mine):
        path.write_bytes(b"half")
        os.utime(path, times=(time.time() - 3601,) * 2)
    convert_clips(tmp_path, [], None, 16000)
    assert [*audio.iterdir()] == [mine]


def test_a_pipe_among_the_files_hangs_no_command(sounds, tmp_path):
    """Whatever its name is; nor does a device."""
    model, folder = sounds
    os.mkfifo(folder / "x.wav")
    (folder / "zero.wav").symlink_to("/dev/zero")
    options = ["--model", model]
    output = [*options, "--output"]
    for command in (
        [str(folder), *options],
        [str(folder), "--timeline", *output, str(tmp_path / "found")],
        ["index", str(folder), *output, str(tmp_path / "a.index")],
        [
            "review",
            str(folder),
            *output,
            str(tmp_path / "r"),
            "--label",
            "None",
        ],
        ["find", str(folder), *options, "--index", str(tmp_path / "a.index")],
    ):
        process = FORKS.Process(target=run_alone, args=(command,))
        process.start()
        process.join(timeout=MAX_SECONDS)
        assert process.exitcode == 1, command
    assert len(SoundIndex.load(tmp_path / "a.index").files) == 4
    assert len(list((tmp_path / "found").rglob("*.wav.txt"))) == 4
