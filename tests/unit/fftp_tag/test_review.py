"""Tests of ``fftp-tag review``, over HTTP, and of learning from its answers.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import soundfile as sf
import tiny_onnx
from hypothesis import (
    settings,
    strategies as st,
)
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)
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
from fftp_tag.review.candidates import ORDERS, Candidate, find_candidates
from fftp_tag.review.server import (
    MAX_CONNECTIONS,
    MAX_REQUEST_BYTES,
    Handler,
    ReviewServer,
)
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
        """Answers what is asked for; returns the candidate and the new state."""
        candidate = self.state()["candidate"]
        number = candidate["number"]
        return candidate, self.post(
            "answer", number=number, answer=answer, **more
        )


@pytest.fixture
def serve(model, recordings, tmp_path):
    """Starts a review of the recording, with answers in a folder."""
    servers = []

    def start():
        tagger = AudioTagger.from_pretrained(model)
        name = "monday/1.wav"
        timeline = tagger.analyze(recordings / name)
        candidates = find_candidates(
            timeline, str(recordings), name, seconds=0.5
        )
        folder = ReviewFolder(tmp_path / "reviewed")
        session = Session(candidates, folder, LABELS, "0f1e", "uncertain")
        server = ReviewServer(session)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=[0.02]).start()
        return Client(server.address)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_review_ends_after_so_many_minutes(tmp_path):
    """Of three seconds each, with what is around a candidate, two are heard."""
    found = [
        Candidate("", "a.wav", 5.0 * n, 5.0 * n + 1, LABELS[0], 0.5, 0.4, True)
        for n in range(4)
    ]
    folder = ReviewFolder(tmp_path)
    session = Session(found, folder, LABELS, "", "top", minutes=7 / 60)
    for left in (2, 1):
        state = session.state()
        assert state["left"] == left
        session.answer(state["candidate"]["number"], "yes")
    assert session.state()["candidate"] is None
    session.undo()
    assert session.state()["left"] == 1


def test_candidates_are_events_and_peaks():
    """A long event is heard around its peak; peaks are local maxima."""
    times = np.arange(200) / 4 + 0.125
    probs = np.zeros((200, 2), np.float32)
    probs[40:160, 0] = 0.6  # an event of 30 s, highest at 33 s
    probs[130, 0] = 0.9
    probs[4:9, 0] = 0.1, 0.2, 0.4, 0.3, 0.2
    probs[199, 1] = 0.3
    probs[100, 1] = 0.04  # too improbable
    found = find_candidates(
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
    assert event.end - event.start == 10.0
    assert event.start == pytest.approx(32.625 - 5.0, abs=0.01)
    assert event.probability == pytest.approx(0.9)
    assert (peak.start, peak.end) == pytest.approx((1.125, 2.125))
    assert (last.start, last.end) == (49.0, 50.0)


def test_orders():
    candidate = Candidate("", "1.wav", 0.0, 1.0, "a", 0.5, 0.5, is_event=True)
    probs = {0.0: 0.1, 1.0: 0.45, 2.0: 0.7, 3.0: 0.99}
    candidates = [
        candidate._replace(start=start, probability=prob, is_event=prob > 0.5)
        for start, prob in probs.items()
    ]
    assert ORDER_NAMES == tuple(ORDERS)
    found = {
        name: [x.probability for x in sorted(candidates, key=order.key)]
        for name, order in ORDERS.items()
    }
    assert found["uncertain"] == [0.45, 0.7, 0.1, 0.99]
    assert found["top"] == [0.99, 0.7, 0.45, 0.1]
    assert ORDERS["random"].events_only
    # Random: whatever the probabilities are, and the same each time
    others = [x._replace(probability=1 - x.probability) for x in candidates]
    key = ORDERS["random"].key
    assert [*map(key, others)] == [*map(key, candidates)]
    assert len({*map(key, candidates)}) == 4


def test_answers_are_on_disk_at_once(serve, tmp_path, recordings):
    client = serve()
    state = client.state()
    assert state["left"] == 5 and state["heard"] == 0
    # The nearest to the threshold, half a second around the peak
    candidate, state = client.answer("yes")
    assert (candidate["label"], candidate["is_event"]) == ("Low", False)
    assert 5.7 <= candidate["start"] < candidate["end"] <= 6.9
    assert candidate["probability"] == pytest.approx(0.4, abs=0.05)
    assert state["left"] == 4 and state["heard"] == 1
    [row] = read_answers(tmp_path / "reviewed")
    assert row.path == str(recordings / "monday" / "1.wav")
    assert (row.asked, row.answer, row.label) == ("Low", "yes", "Low")
    assert (row.start, row.end) == (candidate["start"], candidate["end"])
    assert (row.order, row.model) == ("uncertain", "0f1e") and row.time
    client.answer("no")
    client.answer("other", label=" New  name")
    client.answer("skip")
    table = (tmp_path / "reviewed" / TABLE).read_text()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [x["label"] for x in rows] == ["Low", "background", "New name", ""]
    # What is played is the candidate, and a second around it
    candidate = client.state()["candidate"]
    wav, rate = sf.read(
        io.BytesIO(client.get(f"clips/{candidate['number']}.wav"))
    )
    seconds = candidate["end"] - candidate["start"] + 2
    assert rate == RATE and len(wav) == pytest.approx(seconds * RATE, abs=2)
    whole, _ = sf.read(recordings / "monday" / "1.wav")
    first = round(candidate["from"] * RATE)
    np.testing.assert_allclose(wav, whole[first:][: len(wav)], atol=1e-4)


# Of which the second overlaps the first, and the third does not
STARTS = [
    (0.0, "Low"),
    (0.5, "High"),
    (0.9, "Middle"),
    (2.0, "Low"),
    (9.0, "High"),
]
CANDIDATES = [
    Candidate("", "1.wav", start, start + 1, label, 0.1 * n, 0.3, n % 2 == 0)
    for n, (start, label) in enumerate(STARTS)
]
CHOICES = {
    "order": st.sampled_from(ORDER_NAMES),
    "label": st.sampled_from([None, *LABELS]),
}


class Review(RuleBasedStateMachine):
    """Each candidate is asked for once, and undo takes an answer back.

    Also by other orders, and when the review is started again with the candidates
    of another model.
    """

    def __init__(self):
        super().__init__()
        self.scratch = tempfile.TemporaryDirectory()
        self.heard = []  # start, end and answer, as they should be on the disk
        self.undone = None
        self.start(CANDIDATES, "uncertain", None)

    def teardown(self):
        self.scratch.cleanup()

    @property
    def asked(self):
        return self.session.state()["candidate"]

    @rule(found=st.sampled_from([CANDIDATES, CANDIDATES[2:]]), **CHOICES)
    def start(self, found, order, label):
        self.undone = None
        folder = ReviewFolder(self.scratch.name)
        self.session = Session(found, folder, LABELS, "0f1e", order, label)
        self.order, self.label = order, label

    @rule(**CHOICES)
    def choose(self, order, label):
        self.undone = None
        self.session.choose(order, label)
        self.order, self.label = order, label

    @precondition(lambda self: self.asked)
    @rule(answer=st.sampled_from(["yes", "no", "skip"]))
    def answer(self, answer):
        asked, self.undone = self.asked, None
        for _ in range(2):  # the key is pressed twice
            self.session.answer(asked["number"], answer)
        self.heard.append((asked["start"], asked["end"], answer))

    @precondition(lambda self: self.heard)
    @rule()
    def undo(self):
        *self.heard, (*self.undone, _) = self.heard
        self.session.undo()

    @invariant()
    def only_the_next_one_is_asked_for(self):
        asked = self.asked
        if self.undone:
            assert [asked["start"], asked["end"]] == self.undone
            return
        free = [
            x
            for x in self.session.candidates
            if (x.is_event or self.order != "random")
            and self.label in (None, x.label)
            and all(abs(x.start - start) > 0.75 for start, *_ in self.heard)
        ]
        assert self.session.state()["left"] == len(free)
        best = min(free, key=ORDERS[self.order].key, default=None)
        assert (asked and asked["start"]) == (best and best.start)

    @invariant()
    def answers_are_on_the_disk(self):
        answers = ReviewFolder(self.scratch.name).answers
        assert [(x.start, x.end, x.answer) for x in answers] == self.heard
        assert self.session.state()["heard"] == len(self.heard)


TestReview = Review.TestCase
TestReview.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, derandomize=True
)


@pytest.mark.parametrize(
    "content",
    [
        {"answer": "maybe"},
        {"answer": "other", "label": "a;b"},
        {"answer": "other"},
        {"answer": "yes", "number": 99},
        {"answer": "yes", "number": "0"},
        {"answer": "yes", "more": 1},
        {"order": "best", "label": None},
        {"order": "top", "label": "Siren"},
    ],
)
def test_wrong_requests_are_named_and_change_nothing(serve, tmp_path, content):
    client = serve()
    before = client.state()
    with pytest.raises(urllib.error.HTTPError) as caught:
        if "order" in content:
            client.post("choose", **content)
        client.post("answer", **{"number": 0, **content})
    assert caught.value.code == 400
    assert json.load(caught.value)["error"]
    assert client.state() == before
    assert not (tmp_path / "reviewed").exists()


def test_the_server_is_for_this_computer_and_page_alone(serve, tmp_path):
    """Nor for pages of hosts whose name points to this computer."""
    client = serve()
    port, token = re.search(r":(\d+)/([\w-]+)/", client.address).groups()
    port = int(port)
    assert client.address == f"http://127.0.0.1:{port}/{token}/"

    def ask(method, path, headers, body=b"{}", token=token):
        connection = HTTPConnection("127.0.0.1", port)
        connection.request(method, f"/{token}{path}", body, headers)
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
    # Other accounts of the computer do not know the token
    for wrong in ("", "x", token[:-1], token.swapcase(), f"{token}x", "%C3"):
        for path in ("/", "/state", "/clips/0.wav", "/review.js"):
            assert ask("GET", path, {}, token=wrong).status == 403
        headers = {"Content-Type": "application/json"}
        assert ask("POST", "/answer", headers, answer, wrong).status == 403
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


def test_what_a_request_can_take_is_limited(serve, tmp_path):
    client = serve()
    before = client.state()
    port, token = re.search(r":(\d+)/([\w-]+)/", client.address).groups()

    def post(size, body):
        """The status of a reply to a request of a stated size."""
        with socket.create_connection(("127.0.0.1", int(port)), 10) as to:
            lines = (
                f"POST /{token}/answer HTTP/1.1",
                f"Host: 127.0.0.1:{port}",
                "Content-Type: application/json",
                f"Content-Length: {size}",
            )
            to.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            return int(to.makefile("rb").readline().split()[1])

    deep = b"[" * 9000
    assert post(len(deep), deep) == 400
    full = json.dumps({"x": "x" * (MAX_REQUEST_BYTES - 9)}).encode()
    assert len(full) == MAX_REQUEST_BYTES and post(len(full), full) == 400
    for size in (MAX_REQUEST_BYTES + 1, 3 * 10**8, f"{9:021d}", "9" * 5000):
        assert post(size, b"") == 413
    for size in ("-1", "+1", "", "1e2", "1_0", "\u0661"):
        assert post(size, b"{}") == 411
    assert client.state() == before and not (tmp_path / "reviewed").exists()


def test_idle_connections_end(serve, monkeypatch):
    """And there are only so many."""
    monkeypatch.setattr(Handler, "timeout", 1.0)
    client = serve()
    port = int(re.search(r":(\d+)/", client.address)[1])
    n_threads = threading.active_count()
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
    time.sleep(0.3)
    assert threading.active_count() <= n_threads + MAX_CONNECTIONS
    for connection in idle:
        connection.settimeout(10)
        assert connection.recv(1) == b""  # closed by the server
        connection.close()
    assert client.state()["heard"] == 0


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


def test_a_kill_loses_nothing_and_ctrl_c_ends(model, recordings, tmp_path):
    options = ["recordings", "--model", model]
    process, client = start(tmp_path, *options)
    client.answer("no")
    process.kill()
    process.communicate()
    assert len(read_answers(tmp_path / "reviewed")) == 1
    process, client = start(tmp_path, *options, "--order", "random")
    assert client.state()["heard"] == 1
    client.answer("yes")
    client.answer("other", label="Bell")
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate()
    assert process.returncode == 0 and errors == ""
    assert "heard 3 candidates" in printed
    assert "How many events are right is not measured" in printed
    assert "fftp-tag learn CLIPS --reviewed reviewed" in printed
    process, client = start(tmp_path, "recordings/monday/1.wav", *options[1:])
    assert client.state()["heard"] == 3
    assert client.post("done")["heard"] == 3
    assert "heard 3 candidates" in process.communicate()[0]


def test_recordings_of_an_index_are_heard(
    model, recordings, tmp_path, monkeypatch, capsys
):
    tagger = AudioTagger.from_pretrained(model)
    path = tmp_path / "archive.index"
    update_index(path, tagger, recordings, window=1.0)
    monkeypatch.setattr(ReviewServer, "serve_forever", lambda server: None)
    opened = []

    def open_page(address):
        """Others cannot read it."""
        path = Path(address.removeprefix("file://"))
        assert path.stat().st_mode & 0o077 == 0
        assert re.search(
            r"http://127\.0\.0\.1:\d+/[\w-]{22}/", path.read_text()
        )
        opened.append(address)

    monkeypatch.setattr("webbrowser.open", open_page)
    monkeypatch.chdir(tmp_path)
    assert main(["review", str(path), "--model", str(model)]) == 0
    assert "5 candidates in 1 recording" in capsys.readouterr().out
    assert re.match(r"file:///.*/reviewed/\.review\.html", opened[0])
    assert not (tmp_path / "reviewed").exists()  # there are no answers
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
    assert "heard 13 candidates, 13.0 minutes" in printed
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
    told = {(clip.start, clip.labels, clip.known) for clip in found}
    assert told == {
        (0.0, ("low",), ("low", "low")),
        (1.0, (), ("high",)),
        (2.0, (), ()),
        (3.0, ("middle",), ("low", "middle")),
    }
    assert {clip.group for clip in found} == {
        str(days / f"{day}.wav") for day in range(3)
    }


def test_false_alarms_of_what_was_reviewed_are_doubted(
    lesson, tmp_path, caplog
):
    tagger, clips, days = lesson
    folder = ReviewFolder(tmp_path / "reviewed")
    for answer in answers_of(days, [(3.0, "high", "no", "background")]):
        folder.add(answer)
    learn(
        tagger,
        clips,
        tmp_path / "my.onnx",
        background=days,
        reviewed=tmp_path / "reviewed",
    )
    assert "also reviewed" in caplog.text
