"""Tests of the page in a real browser, Chromium without a window.

They are skipped where there is no Chromium or no onnxruntime-web (npm install),
unless CI_REQUIRE_BROWSER=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import base64
import csv
import functools
import json
import os
import shutil
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.cli.main import main
from speechbrain_fftp.cli.serve import Handler
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.events import step_targets
from speechbrain_fftp.inference.onnx import export_onnx
from speechbrain_fftp.inference.torch_engine import TorchEngine
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.nnet.patching import FFTPEmbedding

pytest.importorskip("onnxscript")
webdriver = pytest.importorskip("selenium.webdriver")
By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
ui = pytest.importorskip("selenium.webdriver.support.ui")

ROOT = Path(__file__).resolve().parents[2]
RATE = 16000
PITCHES = {"Beep": 900.0, "Hum": 200.0, "<b>Whistle</b>": 3000.0}
THRESHOLDS = [0.5, 1.0, 0.5]  # learned ones, as if: no Hum reaches its own
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --window-size=1300,1100 "
    "--use-fake-ui-for-media-stream --use-fake-device-for-media-stream"
).split()
PATIENCE = 120  # seconds
SCHEMES = ("http", "https", "ws", "wss")


def missing(what):
    """Skips a test, or fails where all must be there."""
    if os.environ.get("CI_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


def make_clip(seconds, sounds):
    """Noise with tones: label, start and end of each."""
    rng = np.random.default_rng(0)
    wav = 0.01 * rng.standard_normal(round(seconds * RATE))
    for label, start, end in sounds:
        time = np.arange(round(start * RATE), round(end * RATE))
        wav[time] += 0.2 * np.sin(2 * np.pi * PITCHES[label] * time / RATE)
    return wav.astype(np.float32)


def train_steps(frames=300):
    """A tiny model that hears three tones, at each time step of 3 s."""
    torch.manual_seed(0)
    modules = {
        "compute_features": KaldiFbank(n_mels=40),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": ConvNeXt1d(
            n_mels=40,
            embed_dim=32,
            depth=1,
            embedding=FFTPEmbedding(40, 32, 10, 5),
            max_frames=frames,
            kernel=5,
            pooling="tokens",
        ),
        "classifier": FrameClassifier(32, len(PITCHES), mean_seconds=0.2),
    }
    rng = np.random.default_rng(0)
    clips = []
    for _ in range(32):
        starts = rng.uniform(0, 1.8, 3)
        ends = starts + rng.uniform(0.3, 1.2, 3)
        clips.append(list(zip(PITCHES, starts, ends)))
    tagger = Tagger(*modules.values())
    wavs = np.stack([make_clip(3, sounds) for sounds in clips])
    feats, _ = tagger.features(torch.from_numpy(wavs))
    times = tagger.step_times(wavs.shape[1]).numpy()
    numbers = list(PITCHES)
    targets = [
        step_targets(times, [(a, b, numbers.index(x)) for x, a, b in sounds], 3)
        for sounds in clips
    ]
    targets = torch.from_numpy(np.stack(targets))
    encoder, classifier = modules["embedding_model"], modules["classifier"]
    optimizer = torch.optim.AdamW(
        [*encoder.parameters(), *classifier.parameters()], lr=0.01
    )
    for _ in range(100):
        logits = classifier.frame_logits(encoder(feats))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    labels = CategoricalEncoder()
    labels.update_from_iterable(PITCHES)
    hparams = {
        "sample_rate": RATE,
        "max_frames": frames,
        "label_encoder": labels,
        "thresholds": np.array(THRESHOLDS, np.float32),
    }
    return AudioTagger(TorchEngine(modules, hparams))


@pytest.fixture(scope="module")
def steps_tagger():
    return train_steps()


@pytest.fixture(scope="module")
def clips_tagger(exported):
    return AudioTagger.from_pretrained(exported[1])


@pytest.fixture(scope="module")
def build_page(tmp_path_factory):
    """A function that writes the page of an ONNX model to a folder."""
    runtime = ROOT / "node_modules"
    if not (runtime / "onnxruntime-web").is_dir():
        missing("onnxruntime-web is not installed: npm install")

    def build(model):
        folder = tmp_path_factory.mktemp("pages") / "page"
        options = ["--runtime", str(runtime)]
        assert main(["page", str(model), str(folder), *options]) == 0
        return folder

    return build


@pytest.fixture(scope="module")
def steps_page(steps_tagger, build_page, tmp_path_factory):
    """Of a model that classifies time steps, with learned thresholds."""
    path = tmp_path_factory.mktemp("onnx") / "steps.onnx"
    return build_page(export_onnx(steps_tagger, path))


@pytest.fixture(scope="module")
def clips_page(onnx_file, build_page):
    """Of a model that classifies clips of up to 1.3 s."""
    return build_page(onnx_file)


@pytest.fixture(scope="module")
def addresses(serve_page, steps_page, clips_page):
    """The address of each page, by its name."""
    with serve_page(steps_page) as steps, serve_page(clips_page) as clips:
        yield {
            name: f"http://127.0.0.1:{server.port}/"
            for name, server in (("steps", steps), ("clips", clips))
        }
        for server in (steps, clips):
            assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """The browser, its folder of downloads and what its microphone hears."""
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in paths:
        missing("no chromium or no chromedriver is installed")
    folder = tmp_path_factory.mktemp("browser")
    tone = make_clip(10, [("Beep", 0, 10)])
    sf.write(folder / "tone.wav", tone, RATE)
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for flag in (
        *FLAGS,
        f"--user-data-dir={folder / 'user'}",
        f"--use-file-for-fake-audio-capture={folder / 'tone.wav'}",
    ):
        options.add_argument(flag)
    downloads = folder / "downloads"
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(downloads)}
    )
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(paths[1])
    )
    driver.set_script_timeout(PATIENCE)
    yield driver, downloads
    driver.quit()


class Page:
    """The opened page, as one who uses it sees it."""

    def __init__(self, driver, address, downloads=None):
        self.driver = driver
        self.downloads = downloads
        driver.get(address)

    def wait(self, condition):
        """Waits until a function of the driver returns something."""
        return ui.WebDriverWait(self.driver, PATIENCE).until(condition)

    def find(self, selector):
        """The element that CSS selects, once there is one."""
        return self.wait(
            lambda driver: driver.find_elements(By.CSS_SELECTOR, selector)
        )[0]

    def run(self, script, *arguments):
        """The result of the body of an async function, which is awaited."""
        found = self.driver.execute_async_script(
            f"""const finish = arguments[arguments.length - 1];
            (async (given) => {{ {script} }})(Array.from(arguments))
                .then((result) => finish({{result}}),
                      (error) => finish({{error: String(error)}}));""",
            *arguments,
        )
        assert "error" not in found, found
        return found.get("result")

    def press(self, key):
        """Presses a key of the keyboard."""
        webdriver.ActionChains(self.driver).send_keys(key).perform()

    def choose(self, path):
        """Chooses a file."""
        self.find("#file").send_keys(str(path))

    def tag(self, path):
        """Chooses a file and waits until it is tagged."""
        self.choose(path)
        self.wait_for_results(path.name)

    def wait_for_results(self, name):
        """Waits until the results of a file are shown."""
        self.wait(
            lambda _: self.find("#status").text.startswith(f"{name}, ")
            or self.error()
        )
        assert not self.error()

    def error(self):
        """The error that is shown, if any."""
        return self.driver.find_element(By.ID, "error").text

    def wait_for_error(self):
        """The error, once there is one; results must have gone."""
        self.wait(lambda _: self.error())
        for name in ("tags", "player", "progress"):
            element = self.driver.find_element(By.ID, name)
            assert not element.is_displayed()
        return self.error()

    def tags(self):
        """Labels and probabilities of the bars."""
        return dict(
            self.run("""return Array.from(document.querySelectorAll("#tags li"),
                row => [row.querySelector("span").textContent,
                        row.querySelector("meter").value])""")
        )

    def events(self):
        """Start, end, label and probability of each row of the list."""
        return self.run("""return Array.from(
            document.querySelectorAll("#events button"),
            row => Array.from(row.querySelectorAll("span"),
                cell => cell.textContent))""")

    def thresholds(self):
        """The learned threshold of each row of the list."""
        return self.run("""return Array.from(
            document.querySelectorAll("#events button small"),
            cell => cell.textContent)""")

    def download(self, name, file_name):
        """Presses a button; returns the text of the file that is saved."""
        path = self.downloads / file_name
        self.find(f"#{name}").click()
        self.wait(lambda _: path.exists())
        text = path.read_text("utf-8")
        path.unlink()
        return text

    def set_threshold(self, value):
        """Moves the slider."""
        self.run(
            """const slider = document.querySelector("#threshold");
            slider.value = given[0];
            slider.dispatchEvent(new Event("input"));""",
            value,
        )


@pytest.fixture
def steps(chromium, addresses):
    driver, downloads = chromium
    return Page(driver, addresses["steps"], downloads)


@pytest.fixture
def clips(chromium, addresses):
    driver, downloads = chromium
    return Page(driver, addresses["clips"], downloads)


SOUNDS = [("Beep", 1.0, 2.0), ("Hum", 3.0, 5.0), ("<b>Whistle</b>", 6.0, 7.5)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A file of 20 s with a tone of each class."""
    path = tmp_path_factory.mktemp("clip") / "three tones.wav"
    sf.write(path, make_clip(20, SOUNDS), RATE, subtype="FLOAT")
    return path


# What the page computes of files, without showing it
TIMELINES = """
    const [contents, rate] = given;
    const { decode } = await import("./audio.js");
    const { Model } = await import("./model.js");
    const model = new Model(() => {});
    await model.ready;
    const found = [];
    for (const content of contents) {
        const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt());
        const samples = await decode(new File([bytes], "clip.wav"), rate);
        const shares = [];
        const timeline = await model.analyze(
            samples, (share) => shares.push(share));
        for (const name of ["probs", "clipProbs"]) {
            timeline[name] = Array.from(timeline[name]);
        }
        found.push({ ...timeline, shares });
    }
    model.worker.terminate();
    return found;"""


@pytest.mark.parametrize("name", ["clips", "steps"])
def test_probabilities_are_those_of_python(request, tmp_path, name):
    page = request.getfixturevalue(name)
    tagger = request.getfixturevalue(f"{name}_tagger")
    paths = []
    for seconds in (0.05, 1.0, 3.0, 11.3):
        paths.append(tmp_path / f"{seconds}.wav")
        sounds = [("Beep", 0, seconds / 2), ("Hum", seconds / 3, seconds)]
        wav = make_clip(seconds, sounds)
        sf.write(paths[-1], wav, RATE, subtype="FLOAT")
    contents = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    timelines = page.run(TIMELINES, contents, RATE)
    for path, found in zip(paths, timelines, strict=True):
        expected = tagger.analyze(path)
        np.testing.assert_allclose(found["times"], expected.times, atol=1e-6)
        for key, values in (
            ("probs", expected.probs),
            ("clipProbs", expected.clip_probs),
        ):
            np.testing.assert_allclose(
                found[key], values.ravel(), rtol=0, atol=1e-3
            )
        assert found["duration"] == pytest.approx(expected.duration)
        assert found["window"] == pytest.approx(expected.window, abs=1e-6)
        assert found["shares"] == sorted(found["shares"])
        assert found["shares"][-1] == pytest.approx(1)


def seconds_of(text):
    """Minutes and seconds in seconds."""
    minutes, seconds = text.split(":")
    return 60 * int(minutes) + float(seconds)


def check_events(found, expected):
    """Compares rows of the list with events."""
    assert [row[1] for row in found] == [event.label for event in expected]
    for (times, _, probability), event in zip(found, expected):
        start, end = map(seconds_of, times.split(" – "))
        assert start == pytest.approx(event.start, abs=0.02)
        assert end == pytest.approx(event.end, abs=0.02)
        assert float(probability) == pytest.approx(event.probability, abs=0.01)


def test_what_is_shown_of_a_file(steps, steps_tagger, clip):
    steps.tag(clip)
    expected = steps_tagger.analyze(clip)
    shown = steps.tags()
    tags = expected.tags()
    assert list(shown) == [tag.label for tag in tags] and len(shown) == 3
    for tag in tags:
        assert shown[tag.label] == pytest.approx(tag.probability, abs=1e-3)
    # Learned thresholds first, by which there is no Hum
    events = expected.events("auto")
    assert {event.label for event in events} == {"Beep", "<b>Whistle</b>"}
    check_events(steps.events(), events)
    assert steps.thresholds() == ["threshold 0.50"] * len(events)
    assert steps.find("#threshold-value").text == "0.50–1.00"
    assert not steps.find("#threshold").is_enabled()
    steps.find("#learned").click()
    for value in (0.5, 0.3, 0.7):
        steps.set_threshold(value)
        events = expected.events(value)
        assert {event.label for event in events} == set(PITCHES)
        check_events(steps.events(), events)
        assert not steps.thresholds()
        assert steps.find("#threshold-value").text == f"{value:.2f}"
    steps.set_threshold(1)
    assert not steps.events()
    assert "No event" in steps.find("#event-count").text
    # Something is drawn in both pictures
    for name in ("spectrogram", "timeline"):
        colours = steps.run(f"""const canvas = document.querySelector("#{name}");
            const {{ data }} = canvas.getContext("2d").getImageData(
                0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(data.buffer)).size;""")
        assert colours > 20


def test_downloads(steps, steps_tagger, clip):
    steps.tag(clip)
    expected = steps_tagger.analyze(clip)
    events = expected.events("auto")
    header, *rows = csv.reader(
        steps.download("csv", "three tones.wav.csv").splitlines()
    )
    assert header == ["file", "start", "end", "label", "probability"]
    found = json.loads(steps.download("json", "three tones.wav.json"))
    assert found["file"] == "three tones.wav"
    tracks = steps.download("audacity", "three tones.wav.txt").splitlines()
    tracks = [line.split("\t") for line in tracks]
    assert len(events) == len(rows) == len(found["events"]) == len(tracks) > 1
    for event, row, item, track in zip(events, rows, found["events"], tracks):
        assert item == pytest.approx(event.to_dict(), abs=2e-3)
        assert row[0] == "three tones.wav"
        assert row[3] == track[2] == event.label
        numbers = [float(row[1]), float(row[2]), float(row[4])]
        values = [item["start"], item["end"], item["probability"]]
        assert numbers == values
        assert [float(x) for x in track[:2]] == pytest.approx(values[:2])
    tags = [tag.to_dict() for tag in expected.tags()]
    for tag, item in zip(tags, found["tags"], strict=True):
        assert item == pytest.approx(tag, abs=1e-3)


def test_an_event_plays_its_part(steps, clip):
    """By a click, and by the keyboard."""
    steps.tag(clip)
    steps.run("""const player = document.querySelector("#player");
        player.muted = true;
        window.log = [];
        for (const name of ["seeked", "pause"]) {
            player.addEventListener(name, () => log.push([name, player.currentTime]));
        }""")

    def wait_for_part():
        """Where the player has started and where it stopped."""
        found = steps.wait(
            lambda driver: driver.execute_script(
                "return log.some(([name]) => name == 'pause') && log.splice(0)"
            )
        )
        assert [name for name, _ in found] == ["seeked", "pause"]
        return [time for _, time in found]

    steps.find("#events button").click()
    start, end = wait_for_part()
    # It may stop late on a slow machine, but not only at the end of the file
    assert start == pytest.approx(1.0, abs=0.2)
    assert 1.8 < end < 18
    cursor = "return parseFloat(document.querySelector('#cursor').style.left)"
    steps.wait(
        lambda driver: driver.execute_script(cursor)
        == pytest.approx(100 * end / 20, abs=2)
    )
    steps.press(Keys.ARROW_DOWN)
    steps.press(Keys.ENTER)
    start, end = wait_for_part()
    assert start == pytest.approx(6.0, abs=0.2)
    assert 7.3 < end < 19.9


def test_the_keyboard_reaches_everything(steps, clip):
    steps.tag(clip)
    steps.find("#learned").click()
    reached = ["file"]
    steps.run("document.querySelector('#file').focus()")
    for _ in range(40):
        steps.press(Keys.TAB)
        name = steps.run("""const {id, tagName} = document.activeElement;
            return id || tagName;""")
        if name not in reached:
            reached.append(name)
    wanted = "file record player learned threshold BUTTON csv json audacity"
    assert [name for name in reached if name in wanted.split()] == (
        wanted.split()
    )
    slider = steps.find("#threshold")
    slider.send_keys(Keys.END)
    steps.wait(lambda _: not steps.events())
    slider.send_keys(Keys.HOME)
    steps.wait(lambda _: steps.events())
    assert steps.find("#threshold-value").text == "0.00"


def test_three_minutes_of_mp3(clips, clips_tagger, tmp_path):
    path = tmp_path / "long.mp3"
    wav = np.tile(make_clip(20, SOUNDS), 9)
    sf.write(path, np.stack([wav, wav], 1), RATE, format="MP3")
    clips.run("""window.shares = [];
        const bar = document.querySelector("#progress");
        new MutationObserver(() => {
            if (!bar.hidden && bar.hasAttribute("value")) shares.push(bar.value);
        }).observe(bar, {attributes: true});""")
    clips.tag(path)
    assert "3:00" in clips.find("#status").text
    # Of the model's loading at first, perhaps
    shares = clips.run("return shares")
    assert len(set(shares)) > 10
    assert shares[-10:] == sorted(shares[-10:])
    assert not clips.find("#progress").is_displayed()
    expected = clips_tagger.analyze(path)
    shown = clips.tags()
    for tag in expected.tags():
        # Decoders differ a little
        assert shown[tag.label] == pytest.approx(tag.probability, abs=0.05)


def test_the_microphone_is_tagged_live_and_then_whole(steps):
    steps.find("#record").click()
    steps.wait(lambda _: steps.tags().get("Beep", 0) > 0.5)
    assert "Listening" in steps.find("#status").text
    assert not steps.driver.find_element(By.ID, "player").is_displayed()
    steps.find("#record").click()
    steps.wait_for_results("recording.wav")
    shown = steps.tags()
    assert list(shown)[0] == "Beep" and shown["Beep"] > 0.5
    assert "Beep" in [row[1] for row in steps.events()]
    # What can be played is what was recorded: the tone
    content = steps.run("""const player = document.querySelector("#player");
        const bytes = await (await fetch(player.src)).arrayBuffer();
        return btoa(Array.from(new Uint8Array(bytes),
            (byte) => String.fromCharCode(byte)).join(""));""")
    path = steps.downloads.with_name("recording.wav")
    path.write_bytes(base64.b64decode(content))
    wav, rate = sf.read(path)
    assert len(wav) > 2 * rate
    spectrum = np.abs(np.fft.rfft(wav[-rate:]))
    assert spectrum.argmax() == pytest.approx(PITCHES["Beep"], abs=3)


def test_a_file_ends_a_recording(steps, clip):
    steps.find("#record").click()
    steps.wait(lambda _: "Listening" in steps.find("#status").text)
    steps.tag(clip)
    assert steps.find("#record").text == "Use the microphone"
    assert len(steps.events()) == 2


def test_a_microphone_that_is_refused_or_missing(steps):
    for error, text in (
        ("NotAllowedError", "refused"),
        ("NotFoundError", "no microphone"),
    ):
        steps.run(
            """navigator.mediaDevices.getUserMedia = () =>
                Promise.reject(new DOMException("", given[0]));""",
            error,
        )
        steps.find("#record").click()
        steps.wait(lambda _: text in steps.error())
        assert steps.find("#record").text == "Use the microphone"


def test_a_file_is_dropped(steps, clip):
    content = base64.b64encode(clip.read_bytes()).decode()
    drop = """const bytes = Uint8Array.from(atob(given[0]), (c) => c.charCodeAt());
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], "dropped.wav"));
        for (const name of ["dragover", "drop"]) {
            const event = new DragEvent(
                name, {dataTransfer, bubbles: true, cancelable: true});
            document.body.dispatchEvent(event);
            if (!event.defaultPrevented) throw Error(name);
        }"""
    steps.run(drop, content)
    steps.wait_for_results("dropped.wav")
    assert len(steps.events()) == 2


def test_the_last_of_two_files_counts(clips, clips_tagger, tmp_path, clip):
    long = tmp_path / "long.wav"
    sf.write(long, np.tile(make_clip(20, SOUNDS), 6), RATE)
    clips.choose(long)
    clips.wait(lambda _: "Tagging long.wav" in clips.find("#status").text)
    clips.tag(clip)
    tags = clips_tagger.analyze(clip).tags()
    assert list(clips.tags()) == [tag.label for tag in tags]
    assert list(clips.tags().values()) == pytest.approx(
        [tag.probability for tag in tags], abs=1e-3
    )


def test_errors_are_sentences_and_replace_results(steps, tmp_path, clip):
    files = {
        "text.wav": b"RIFF and nothing that one could hear",
        "empty.mp3": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    sf.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    sf.write(tmp_path / "short.wav", make_clip(0.01, []), RATE)
    for name, text in (
        ("text.wav", "not audio"),
        ("empty.mp3", "not audio"),
        ("silent.wav", "silent"),
        ("short.wav", "shorter than 25 ms"),
    ):
        steps.tag(clip)
        steps.choose(tmp_path / name)
        error = steps.wait_for_error()
        assert name in error and text in error and error.endswith(".")
        assert steps.find("#status").text == ""
    steps.tag(clip)
    assert len(steps.events()) == 2


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.json", "ort-wasm-simd-threaded.wasm"]
)
def test_a_missing_or_changed_file_is_named(
    chromium, serve_page, steps_page, tmp_path, clip, name
):
    folder = tmp_path / "page"
    shutil.copytree(steps_page, folder)
    (path,) = folder.rglob(name)
    if name.endswith(".wasm"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    else:
        path.unlink()
    with serve_page(folder) as server:
        page = Page(chromium[0], f"http://127.0.0.1:{server.port}/")
        assert name in page.wait_for_error()
        page.choose(clip)
        assert name in page.wait_for_error()


class OtherHost(Handler):
    """A server that lets pages of other hosts load its files."""

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


def test_the_runtime_may_be_on_another_host(
    chromium, serve_page, steps_page, tmp_path, clip
):
    folder = tmp_path / "page"
    shutil.copytree(steps_page, folder)
    runtime = json.loads((folder / "runtime.json").read_text())
    handler = functools.partial(OtherHost, directory=folder / runtime["folder"])
    other = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    runtime["folder"] = f"http://127.0.0.1:{other.server_port}/"
    (folder / "runtime.json").write_text(json.dumps(runtime))
    try:
        with serve_page(folder) as server:
            page = Page(chromium[0], f"http://127.0.0.1:{server.port}/")
            page.tag(clip)
            assert len(page.events()) == 2
    finally:
        other.shutdown()
        other.server_close()


def test_the_page_fits(steps, clip):
    steps.tag(clip)
    try:
        for width in (360, 390, 700, 1300):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1}
            steps.driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride", {**size, "mobile": False}
            )
            # The pictures are drawn again
            steps.wait(
                lambda driver: driver.execute_script(
                    """
                    const {width, clientWidth} = document.querySelector("#timeline");
                    return innerWidth == arguments[0] && width == clientWidth;""",
                    width,
                )
            )
            outside = steps.run("""
                const right = document.documentElement.clientWidth;
                const all = document.querySelectorAll("body, body *");
                return Array.from(all).filter((element) => {
                    const box = element.getBoundingClientRect();
                    return box.width > 1 && (box.left < 0 || box.right > right + 1);
                }).map((element) => element.outerHTML);""")
            assert outside == []
            cut = steps.run("""
                return Array.from(document.querySelectorAll("#events span, #tags *"))
                    .filter((element) => element.clientWidth
                            && element.scrollWidth > element.clientWidth + 1).length;""")
            assert cut == 0
    finally:
        steps.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_light_and_dark(steps, clip):
    def set_scheme(value):
        """Sets the colours that a user prefers."""
        feature = {"name": "prefers-color-scheme", "value": value}
        steps.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [feature]}
        )

    def brightness(selector, name):
        """Mean of the red, green and blue of an element's colour."""
        text = steps.find(selector).value_of_css_property(name)
        numbers = text.partition("(")[2].strip(")").split(",")[:3]
        return np.mean([float(x) for x in numbers])

    try:
        steps.tag(clip)
        pictures = []
        for scheme, is_dark in (("light", False), ("dark", True)):
            set_scheme(scheme)
            text = brightness("body", "color")
            back = brightness("body", "background-color")
            assert abs(text - back) > 150
            assert (text > back) == is_dark
            shown = "return document.querySelector('#timeline').toDataURL()"
            steps.wait(
                lambda driver: driver.execute_script(shown) not in pictures
            )
            pictures.append(steps.driver.execute_script(shown))
    finally:
        steps.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {})


def test_nothing_is_loaded_from_elsewhere_or_sent(chromium, steps, clip):
    """Runs last: the log holds all that the browser has asked for so far."""
    steps.tag(clip)
    messages = [
        json.loads(entry["message"])["message"]
        for entry in steps.driver.get_log("performance")
    ]
    requests = [
        message["params"]["request"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    remote = [r for r in requests if urlparse(r["url"]).scheme in SCHEMES]
    assert len(remote) > 20
    for request in remote:
        assert urlparse(request["url"]).hostname == "127.0.0.1"
        assert request["method"] == "GET" and not request.get("hasPostData")
