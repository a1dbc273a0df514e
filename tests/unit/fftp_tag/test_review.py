"""Tests of ``fftp-tag review``, over HTTP, and of learning from its answers.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.client import HTTPConnection

import numpy as np
import pytest
import scipy.stats
import soundfile as sf
import tiny_onnx
from tiny_onnx import PITCHES, RATE, cosines

from fftp_tag import AudioTagger, learn
from fftp_tag.cli.main import main
from fftp_tag.cli.review import ORDER_NAMES, print_summary
from fftp_tag.data.reviewed import (
    TABLE,
    Answer,
    ReviewFolder,
    read_answers,
    reviewed_clips,
)
from fftp_tag.model.info import default_rules
from fftp_tag.review.places import LONGEST, ORDERS, Place, find_places
from fftp_tag.review.server import ReviewServer
from fftp_tag.review.session import Session
from fftp_tag.score.intervals import exact_interval
from fftp_tag.search.index import update_index
from fftp_tag.tag.events import Timeline

COMMAND = [sys.executable, "-u", "-m", "fftp_tag.cli.main", "review"]
# Start and end in seconds, class, level: which is about the probability
SOUNDS = [
    (2.0, 4.0, "Low", 0.9),  # an event
    (6.0, 6.6, "Low", 0.4),  # nearly one
    (9.0, 10.0, "High", 0.2),
    (12.0, 14.0, "Middle", 0.65),
    (16.0, 18.0, "High", 0.8),
]
LABELS = list(PITCHES)


def write_recording(path, sounds=SOUNDS, seconds=20):
    """Writes tones in faint noise."""
    wav = 0.005 * np.random.default_rng(0).standard_normal(seconds * RATE)
    for start, end, label, level in sounds:
        inside = slice(round(start * RATE), round(end * RATE))
        wav[inside] += level * cosines(len(wav))[LABELS.index(label), inside]
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, wav, RATE, subtype="FLOAT")


@pytest.fixture
def model(tmp_path):
    return tiny_onnx.write_model(tmp_path / "model.onnx", is_frame_level=True)


@pytest.fixture
def recordings(tmp_path):
    """A folder with one recording, in a folder in it."""
    write_recording(tmp_path / "recordings" / "monday" / "1.wav")
    return tmp_path / "recordings"


class Client:
    """What the page does."""

    def __init__(self, address):
        self.address = address

    def get(self, path):
        with urllib.request.urlopen(self.address + path) as reply:
            return reply.read()

    def post(self, path, **content):
        request = urllib.request.Request(
            self.address + path,
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    def state(self):
        return json.loads(self.get("state"))

    def answer(self, answer, **more):
        """Answers what is asked for; returns the place and the new state."""
        place = self.state()["place"]
        number = place["number"]
        return place, self.post("answer", number=number, answer=answer, **more)


@pytest.fixture
def serve(model, recordings, tmp_path):
    """Starts a review of the recording, with answers in a folder."""
    servers = []

    def start(order="uncertain", label=None, seconds=0.5):
        tagger = AudioTagger.from_pretrained(model)
        name = "monday/1.wav"
        timeline = tagger.analyze(recordings / name)
        places = find_places(timeline, str(recordings), name, seconds)
        folder = ReviewFolder(tmp_path / "reviewed")
        session = Session(places, folder, LABELS, "0f1e", order, label)
        server = ReviewServer(session)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=[0.02]).start()
        return Client(server.address)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_places_are_events_and_peaks():
    """A long event is heard around its peak; peaks are local maxima."""
    times = np.arange(200) / 4 + 0.125
    probs = np.zeros((200, 2), np.float32)
    probs[40:160, 0] = 0.6  # an event of 30 s, highest at 33 s
    probs[130, 0] = 0.9
    probs[4:9, 0] = 0.1, 0.2, 0.4, 0.3, 0.2
    probs[199, 1] = 0.3
    probs[100, 1] = 0.04  # too improbable
    found = find_places(
        Timeline(
            times, probs, probs.max(0), 50.0, ["a", "b"], default_rules(2)
        ),
        "folder",
        "1.wav",
        seconds=1.0,
    )
    assert [(x.label, x.is_event) for x in found] == [
        ("a", True),
        ("a", False),
        ("b", False),
    ]
    event, peak, last = found
    assert event.end - event.start == LONGEST
    assert event.start == pytest.approx(32.625 - LONGEST / 2, abs=0.01)
    assert event.probability == pytest.approx(0.9)
    assert (peak.start, peak.end) == pytest.approx((1.125, 2.125))
    assert (last.start, last.end) == (49.0, 50.0)


def test_orders():
    place = Place("", "1.wav", 0.0, 1.0, "a", 0.5, 0.5, is_event=True)
    probs = {0.0: 0.1, 1.0: 0.45, 2.0: 0.7, 3.0: 0.99}
    places = [
        place._replace(start=start, probability=prob, is_event=prob > 0.5)
        for start, prob in probs.items()
    ]
    assert ORDER_NAMES == tuple(ORDERS)
    found = {
        name: [x.probability for x in sorted(places, key=order.key)]
        for name, order in ORDERS.items()
    }
    assert found["uncertain"] == [0.45, 0.7, 0.1, 0.99]
    assert found["top"] == [0.99, 0.7, 0.45, 0.1]
    assert ORDERS["random"].events_only
    # Random: whatever the probabilities are, and the same each time
    others = [x._replace(probability=1 - x.probability) for x in places]
    key = ORDERS["random"].key
    assert [*map(key, others)] == [*map(key, places)]
    assert len({*map(key, places)}) == 4


@pytest.mark.parametrize("seed", range(4))
def test_a_walk_asks_for_each_span_once(serve, tmp_path, seed):
    """Whatever is answered, undone, chosen, pressed twice or started again, also
    by another model: the table has what was answered, and its end is undone.
    """
    draw = random.Random(seed)
    client, answers, numbers = serve(), [], []
    for step in range(60):
        state = client.state()
        place = state["place"]
        action = draw.choice(
            ["answer"] * 4 + ["undo", "again", "choose", "start"]
        )
        if action == "answer" and place:
            span = place["start"], place["end"]
            for start, end, *_ in answers:
                assert span[1] <= start or span[0] >= end
            answer = draw.choice(["yes", "no", "skip", "other"])
            name = {
                "yes": place["label"],
                "no": "background",
                "skip": "",
                "other": "New name",
            }[answer]
            client.answer(answer, label=" New  name")
            answers.append((*span, place["label"], answer, name))
            numbers.append(place["number"])
        elif action == "undo":
            place = client.post("undo")["place"]
            if answers:
                found = place["start"], place["end"], place["label"]
                assert found == answers.pop()[:3]
            numbers = numbers[: len(answers)]
        elif action == "again" and numbers:
            client.post("answer", number=draw.choice(numbers), answer="yes")
        elif action == "choose":
            order, label = draw.choice([*ORDERS]), draw.choice([*LABELS, None])
            state = client.post("choose", order=order, label=label)
            if state["place"]:
                assert label in (None, state["place"]["label"])
                assert state["place"]["is_event"] or order != "random"
        elif action == "start":
            order, seconds = draw.choice([*ORDERS]), draw.choice([0.5, 0.8])
            client, numbers = serve(order, None, seconds), []
        table = tmp_path / "reviewed"
        rows = read_answers(table) if table.exists() else []
        found = [(x.start, x.end, x.asked, x.answer, x.label) for x in rows]
        assert found == answers
        assert client.state()["heard"] == len(answers)
        assert all(row.model == "0f1e" and row.time for row in rows)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_at_any_byte_the_table_is_readable(tmp_path):
    """As of a full disk, whose limit is here that of the size of files."""
    row = Answer("a", "1.wav", 0.0, 1.0, "é", 0.5, "no", "background", *"abc")
    folder = ReviewFolder(tmp_path / "reviewed")
    folder.add(row)
    size = (folder.folder / TABLE).stat().st_size
    results = set()
    for limit in [0, *range(size // 2, 2 * size + 9, 3)]:
        before = read_answers(folder.folder)
        child = os.fork()
        if not child:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            try:
                ReviewFolder(folder.folder).add(row._replace(start=0.5))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        after = read_answers(folder.folder)
        assert after[: len(before)] == before and len(after) <= len(before) + 1
        results.add(len(after) - len(before))
        if len(after) > len(before):
            assert ReviewFolder(folder.folder).undo() == after[-1]
    assert results == {0, 1}


def test_the_first_span_is_played_with_what_is_around_it(serve, recordings):
    """The nearest to the threshold, half a second around the peak."""
    client = serve()
    state = client.state()
    place = state["place"]
    assert state["left"] == 5 and place["label"] == "Low"
    assert 5.7 <= place["start"] < place["end"] <= 6.9
    assert place["probability"] == pytest.approx(0.4, abs=0.05)
    wav, rate = sf.read(io.BytesIO(client.get(f"clips/{place['number']}.wav")))
    seconds = place["end"] - place["start"] + 2
    assert rate == RATE and len(wav) == pytest.approx(seconds * RATE, abs=2)
    whole, _ = sf.read(recordings / "monday" / "1.wav")
    first = round(place["from"] * RATE)
    np.testing.assert_allclose(wav, whole[first:][: len(wav)], atol=1e-4)


@pytest.mark.parametrize(
    "path, content",
    [
        ("answer", {"number": 0, "answer": "maybe"}),
        ("answer", {"number": 0, "answer": "other", "label": "a;b"}),
        ("answer", {"number": 0, "answer": "other"}),
        ("answer", {"number": 99, "answer": "yes"}),
        ("answer", {"number": "0", "answer": "yes"}),
        ("answer", {"number": 0, "answer": "yes", "more": 1}),
        ("choose", {"order": "best", "label": None}),
        ("choose", {"order": "top", "label": "Siren"}),
    ],
)
def test_what_is_wrong_is_named_and_not_written(serve, tmp_path, path, content):
    client = serve()
    with pytest.raises(urllib.error.HTTPError) as caught:
        client.post(path, **content)
    assert caught.value.code == 400
    assert json.load(caught.value)["error"]
    assert not (tmp_path / "reviewed").exists()


def test_the_server_is_for_this_computer_and_page_alone(serve, tmp_path):
    """Nor for pages of hosts whose name points to this computer."""
    client = serve()
    port = int(re.search(r":(\d+)/", client.address)[1])
    assert client.address == f"http://127.0.0.1:{port}/"

    def ask(method, path, headers, body=b"{}"):
        connection = HTTPConnection("127.0.0.1", port)
        connection.request(method, path, body, headers)
        return connection.getresponse()

    kind = {"Content-Type": "application/json"}
    answer = b'{"number": 0, "answer": "yes"}'
    for host in (f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}"):
        assert ask("GET", "/state", {"Host": host}).status == 403
        headers = {**kind, "Host": host}
        assert ask("POST", "/answer", headers, answer).status == 403
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}"):
        headers = {**kind, "Origin": origin}
        assert ask("POST", "/answer", headers, answer).status == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        headers = {"Content-Type": kind}
        assert ask("POST", "/answer", headers, answer).status == 415
    assert not (tmp_path / "reviewed").exists()
    for path in (
        "/../model.onnx",
        "/%2e%2e/model.onnx",
        "/clips/../../model.onnx",
        "/clips/-1.wav",
        "/session.py",
        "//etc/passwd",
    ):
        assert ask("GET", path, {}).status == 404, path
    assert ask("GET", "/clips/99.wav", {}).status == 400
    for path in ("/", "/review.js", "/style.css", "/draw.js"):
        reply = ask("GET", path, {})
        assert reply.status == 200 and reply.read()
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
    same = {"Content-Type": "application/json", "Host": f"localhost:{port}"}
    same["Origin"] = f"http://localhost:{port}"
    assert ask("POST", "/answer", same, answer).status == 200


def start(folder, *options):
    """Starts the command in a folder; returns it, and a client."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, options), "--no-browser"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    return process, Client(re.search(r"http://\S+", line)[0])


def test_ctrl_c_and_the_page_end_the_command(model, recordings, tmp_path):
    """Which goes on where it was, whatever the recordings are named."""
    options = ["--model", model, "--order", "random"]
    process, client = start(tmp_path, "recordings", *options)
    client.answer("yes")
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate()
    assert process.returncode == 0 and errors == ""
    assert "fftp-tag learn CLIPS --reviewed reviewed" in printed
    process, client = start(tmp_path, "recordings/monday/1.wav", *options)
    assert client.state()["heard"] == 1
    assert client.post("done")["heard"] == 1
    assert "heard 1 place" in process.communicate()[0]


def test_recordings_of_an_index_are_heard(
    model, recordings, tmp_path, monkeypatch, capsys
):
    tagger = AudioTagger.from_pretrained(model)
    path = tmp_path / "archive.index"
    update_index(path, tagger, recordings, window=1.0)
    monkeypatch.setattr(ReviewServer, "serve_forever", lambda server: None)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.chdir(tmp_path)
    assert main(["review", str(path), "--model", str(model)]) == 0
    assert "5 places in 1 recording" in capsys.readouterr().out
    assert re.match(r"http://127\.0\.0\.1:\d+/", opened[0])
    recordings.rename(tmp_path / "moved")
    assert main(["review", str(path), "--model", str(model)]) == 1
    assert "fftp-tag index" in capsys.readouterr().err


def test_errors_name_what_is_wrong(model, recordings, tmp_path, capsys):
    def error(*arguments):
        command = ["review", *arguments, "--model", model, "--no-browser"]
        assert main([*map(str, command)]) == 1
        [line] = capsys.readouterr().err.splitlines()
        return line

    mine = tmp_path / "mine"
    (mine / "Bark").mkdir(parents=True)
    assert "none.wav" in error(tmp_path / "none.wav")
    assert "--output" in error(recordings, "--output", recordings)
    assert "review.csv" in error(recordings, "--output", mine)
    output = ["--output", tmp_path / "reviewed"]
    assert "--label Siren" in error(recordings, *output, "--label", "Siren")
    (tmp_path / "reviewed").mkdir()
    table = tmp_path / "reviewed" / TABLE
    row = "a,1.wav,2,1,Low,0.5,yes,Low,top,,\n"
    table.write_text(f"{','.join(Answer._fields)}\n{row}")
    assert "line 2" in error(recordings, *output)
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "1.wav").write_text("no sound")
    command = ["review", bad, "--model", model, "--output", tmp_path / "new"]
    assert main([*map(str, command)]) == 1
    assert "1.wav" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("right, count", [(0, 5), (5, 5), (7, 40), (900, 2000)])
def test_intervals_are_exact(right, count):
    expected = scipy.stats.binomtest(right, count).proportion_ci()
    found = exact_interval(right / count, count)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_only_random_events_of_this_model_have_an_interval(capsys):
    row = Answer(
        "a", "1.wav", 0, 60, "Low", 0.5, "yes", "Low", "random", "m", ""
    )
    wrong = {"answer": "no", "label": "background"}
    answers = [row] * 8 + [row._replace(**wrong)] * 2
    other = row._replace(recording="2.wav", **wrong)
    answers += [
        row._replace(answer="skip", label=""),
        other._replace(order="top"),
        other._replace(model="old"),
    ]
    print_summary(answers, "m")
    printed = capsys.readouterr().out
    assert "heard 13 places, 13.0 minutes" in printed
    assert re.search(r"8 +4 +0 +1  Low", printed)
    assert "of 10 events in random order, 8 are right: 0.800 [0.444" in printed
    # What is left when the least certain ones were asked for is no random part
    for other in ({"order": "top"}, {"model": "old"}):
        print_summary([*answers, row._replace(**other)], "m")
        assert "not measured" in capsys.readouterr().out


def noise_and_tone(pitch, seed, seconds=1.0):
    """A tone in noise."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    pitch *= draw.uniform(0.95, 1.05)
    wav = np.sin(2 * np.pi * pitch * time) + 0.05 * draw.standard_normal(
        len(time)
    )
    return (0.1 * wav).astype(np.float32)


@pytest.fixture
def lesson(tmp_path):
    """A tagger, clips of two classes, and a recording with other tones."""
    pitches = {f"{pitch} Hz": float(pitch) for pitch in range(20, 440, 12)}
    path = tiny_onnx.write_model(tmp_path / "encoder.onnx", pitches=pitches)
    for label, pitch in (("low", 60), ("high", 350)):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for seed in range(6):
            wav = noise_and_tone(pitch, seed)
            sf.write(tmp_path / "clips" / label / f"{seed}.wav", wav, RATE)
    days = tmp_path / "days"
    days.mkdir()
    for day in range(3):
        wavs = [noise_and_tone(p, 20 + day) for p in (60, 310, 1, 150, 350)]
        sf.write(days / f"{day}.wav", np.concatenate(wavs), RATE)
    return AudioTagger.from_pretrained(path), tmp_path / "clips", days


def answers_of(days, rows):
    """Answers about each recording: start, asked, answer and label."""
    return [
        Answer(
            str(days), f"{day}.wav", start, start + 1, asked, 0.5, answer, label,
            "top", "", "",
        )
        for day in range(3)
        for start, asked, answer, label in rows
    ]  # fmt: skip


def test_a_no_lowers_the_class_and_a_name_adds_one(lesson, tmp_path):
    tagger, clips, days = lesson
    learn(tagger, clips, tmp_path / "before.onnx")
    folder = ReviewFolder(tmp_path / "reviewed")
    rows = [
        (1.0, "high", "no", "background"),  # of 310 Hz
        (3.0, "low", "other", "middle"),  # of 150 Hz
        (4.0, "high", "yes", "high"),
        (2.0, "low", "skip", ""),
    ]
    for answer in answers_of(days, rows):
        folder.add(answer)
    command = ["learn", clips, "--model", tagger.model.path, "--reviewed"]
    command += [tmp_path / "reviewed", "--output", tmp_path / "after.onnx"]
    assert main([*map(str, command)]) == 0
    before, after = (
        AudioTagger.from_pretrained(tmp_path / f"{x}.onnx")
        for x in ("before", "after")
    )
    assert after.labels == ["high", "low", "middle"]

    def prob(tagger, pitch, label):
        probs = tagger.clip_probabilities(noise_and_tone(pitch, 99), RATE)
        return probs[tagger.labels.index(label)]

    assert prob(before, 310, "high") > 0.5
    assert prob(after, 310, "high") < 0.5 * prob(before, 310, "high")
    assert prob(after, 350, "high") > 0.5
    assert prob(after, 150, "middle") > 0.5
    assert sorted(x.name for x in days.iterdir()) == ["0.wav", "1.wav", "2.wav"]
    assert {x.name for x in clips.iterdir()} == {"low", "high"}


def test_a_no_is_about_one_of_several_classes(lesson, tmp_path):
    """What is not high is still a tone."""
    tagger, clips, days = lesson
    rows = ["path,labels"]
    for seed in range(6):
        rows += [f"{x}/{seed}.wav,{x};Tone" for x in ("low", "high")]
        noise = np.random.default_rng(seed).standard_normal(RATE)
        sf.write(clips / f"{seed}.wav", 0.01 * noise, RATE)
        rows.append(f"{seed}.wav,")
    (clips / "clips.csv").write_text("\n".join(rows))
    learn(tagger, clips, tmp_path / "before.onnx")
    for day in range(3):
        wav = noise_and_tone(300, day)
        sf.write(days / f"{day}.wav", wav, RATE)
    folder = ReviewFolder(tmp_path / "reviewed")
    for answer in answers_of(days, [(0.0, "high", "no", "background")]):
        folder.add(answer)
    learn(
        tagger,
        clips,
        tmp_path / "after.onnx",
        reviewed=tmp_path / "reviewed",
    )
    wav = noise_and_tone(300, 99)
    probs = {}
    for name in ("before", "after"):
        learnt = AudioTagger.from_pretrained(tmp_path / f"{name}.onnx")
        assert not learnt.model.info.single_label
        probs[name] = dict(
            zip(learnt.labels, learnt.clip_probabilities(wav, RATE))
        )
    assert probs["after"]["high"] < 0.8 < probs["before"]["high"]
    assert probs["after"]["Tone"] > 0.9


def test_what_an_answer_tells(lesson, tmp_path):
    """Groups are recordings; a skip is no clip."""
    *_, days = lesson
    folder = ReviewFolder(tmp_path / "reviewed")
    rows = [
        (0.0, "low", "yes", "low"),
        (1.0, "high", "no", "background"),
        (2.0, "low", "other", "background"),
        (3.0, "low", "other", "middle"),
        (4.0, "high", "skip", ""),
    ]
    for answer in answers_of(days, rows):
        folder.add(answer)
    found = reviewed_clips(tmp_path / "reviewed")
    told = {(clip.start, clip.labels, about) for clip, about in found.items()}
    assert told == {
        (0.0, ("low",), ("low", "low")),
        (1.0, (), ("high",)),
        (2.0, (), ()),
        (3.0, ("middle",), ("low", "middle")),
    }
    assert {clip.group for clip in found} == {
        str(days / f"{day}.wav") for day in range(3)
    }
