"""Runs the shell blocks and the Python of README and docs as they are printed.

A page's blocks run in its order, in a folder with what its reader has: a clone,
the demo's model, recordings, data sets. Stand-ins take the place of programs that
need a network, a microphone or hours.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import data_folders
import numpy as np
import pytest
import soundfile as sf
import stand_ins
import tiny_onnx
import torch
import yaml
from hyperpyyaml import load_hyperpyyaml
from published_forms import FORMS, atst_file
from recipe_runs import ROOT

from fftp_tag.cli import main
from speechbrain.utils.run_opts import RunOptions
from speechbrain_fftp.datasets.demo import CLASSES, prepare_demo
from speechbrain_fftp.datasets.speech_commands import (
    COMMANDS,
    NOISE_FOLDER,
    OTHER_WORDS,
)
from speechbrain_fftp.onnx.export import export_onnx

RATE = 16000
LABELS = [label for _, label, _ in CLASSES]
PAGES = [
    path.relative_to(ROOT).as_posix()
    for pattern in ("README.md", "docs/*.md", "recipes/*/README.md")
    for path in sorted(ROOT.glob(pattern))
]
SHELL = ("", "bash", "sh", "shell")
# What blocks have that take more than seconds
SLOW = re.compile(
    r"train(_strong)?\.py|make demo|ATST-F|mispeech/|MIT/"
    r"|fftp-tag (evaluate|calibrate)|--int8"
)
# Pages that build base models, or learn from minutes of sound
SLOW_PAGES = ("docs/paper.md", "docs/tutorial.md")
# Blocks that no test runs, by what they have, and why
NOT_RUN = {
    "make test": "it runs this test",
    "--plan paper_table": "it takes hours on a GPU, see test_study.py",
}
# What runs the blocks of Python that it reads, and tells when one is over
END = "-- end of block --\n"
SESSION = f"""
import json, sys
names = {{"__name__": "__main__"}}
for line in sys.stdin:
    exec(json.loads(line), names)
    print({END!r}, end="", flush=True)
"""
HUB = {
    "MIT/ast-finetuned-audioset-10-10-0.4593": "AST folder",
    "mispeech/ced-tiny": "CED",
}
# In place of the package sounddevice: a microphone, and Ctrl+C
MICROPHONE = """
import os
import signal
import threading
import time

import numpy as np

PortAudioError = OSError


def query_devices(*_):
    return {"default_samplerate": 16000.0}


class InputStream:
    active = True

    def __init__(self, callback, blocksize, **_):
        self.callback, self.size = callback, blocksize

    def start(self):
        threading.Thread(target=self.record, daemon=True).start()

    def record(self):
        for number in range(1000):
            noise = np.random.default_rng(number).standard_normal(self.size)
            self.callback(0.1 * noise.astype(np.float32)[:, None], self.size)
            time.sleep(0.01)
            if number == 20:
                os.kill(os.getpid(), signal.SIGINT)

    def close(self):
        pass
"""


def test_the_tutorial_leaves_no_untracked_files():
    names = ["my_sounds/Doorbell/1.wav", "my_sounds.onnx", "evening.wav"]
    names += ["room_1.wav", "room_3.wav", "doorbell_page/index.html"]
    text = (ROOT / "docs/tutorial.md").read_text("utf-8")
    assert all(name.split("/")[0] in text for name in names)
    command = ["git", "check-ignore", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == names


def test_readme_and_setup_name_the_same_oldest_pytorch():
    found = {
        re.search(pattern, (ROOT / name).read_text("utf-8"))[1]
        for name, pattern in (
            ("README.md", r"oldest that are supported are PyTorch ([\d.]+\d)"),
            ("setup.cfg", r"torch>=([\d.]+)"),
            ("setup.cfg", r"torchaudio>=([\d.]+)"),
        )
    }
    assert len(found) == 1


def blocks(page):
    """The fenced blocks of a page, with their language."""
    text = (ROOT / page).read_text("utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)


def shell_blocks(page):
    """The blocks of a page that a reader pastes into a shell."""
    return [block for language, block in blocks(page) if language in SHELL]


def is_slow(page, block):
    return page in SLOW_PAGES or SLOW.search(block) is not None


def find_pages(slow):
    """The pages with blocks to be run that are slow, or are not."""
    return [
        page
        for page in PAGES
        if any(
            language in (*SHELL, "python")
            and is_slow(page, block) == slow
            and not any(part in block for part in NOT_RUN)
            for language, block in blocks(page)
        )
    ]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder as ``make demo`` writes it, of fewer clips and without training.

    The encoder's weights have the demo's sizes, but model.onnx only compares
    sounds to pitches.
    """
    folder = tmp_path_factory.mktemp("demo")
    (folder / "inference").mkdir()
    prepare_demo(folder / "prepared", num_train=8, num_valid=30, num_eval=10)
    encoder = load_demo(folder)["embedding_model"].encoder
    path = folder / "inference" / "embedding_model.ckpt"
    torch.save(encoder.state_dict(), path)
    pitches = dict(zip(LABELS, np.linspace(40, 430, len(LABELS))))
    model = folder / "inference" / "model.onnx"
    tiny_onnx.write_model(model, has_steps=True, pitches=pitches)
    return folder


@pytest.fixture(scope="module")
def exported_demo(demo, tmp_path_factory):
    """The same with an exported encoder, which is smaller than the demo's."""
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("exported") / "demo"
    shutil.copytree(demo, folder)
    export_onnx(
        folder / "inference" / "model.onnx",
        load_demo(folder, embed_dim=32, depth=1),
        LABELS,
        sample_rate=RATE,
        max_frames=1024,
    )
    return folder


def load_demo(folder, **sizes):
    """The modules of the demo's model with random weights."""
    sizes["output_folder"] = str(folder)
    with open(ROOT / "hparams" / "demo.yaml", encoding="utf-8") as file:
        modules = load_hyperpyyaml(file, sizes)["modules"]
    return {name: module.eval() for name, module in modules.items()}


def sound(seconds, seed):
    """A tone that is interrupted, and noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * rng.uniform(300, 3000) * time) * (time % 2 < 1)
    return 0.2 * tone + 0.01 * rng.standard_normal(len(time))


def write(path, seconds, seed=0):
    """Writes a recording, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, sound(seconds, seed), RATE)


def write_recordings(folder):
    """The recordings of a reader."""
    write(folder / "clip.wav", 10)
    write(folder / "results" / "demo" / "clip.wav", 10)  # by make demo
    write(folder / "recording.wav", 12, seed=1)
    write(folder / "other.mp3", 5, seed=2)
    write(folder / "room.wav", 10, seed=3)
    write(folder / "bark.wav", 1, seed=4)
    for seed in range(3):
        write(folder / "recordings" / "monday" / f"{seed}.flac", 3, seed)
        write(folder / "archive" / f"{seed}.wav", 12, seed)
    for seed in range(6):
        for number, name in enumerate(("Doorbell", "Kettle", "background")):
            path = folder / "my_sounds" / name / f"{seed}.wav"
            write(path, 0.5, seed=100 * (1 + number) + seed)


def write_data_sets(folder):
    """The data sets that a stranger downloads, a few clips of each."""
    audioset = folder / "AudioSet"
    data_folders.write_lists(audioset)
    balanced = audioset / "balanced_train_segments.csv"
    lines = balanced.read_text("utf-8").splitlines()
    balanced.write_text("\n".join(lines[:-3]), "utf-8")
    shutil.copy(balanced, audioset / "unbalanced_train_segments.csv")
    valid = "\n".join([lines[0], *lines[-3:]])
    (audioset / "valid_segments.csv").write_text(valid, "utf-8")
    label = next(iter(data_folders.CLASSES))
    rows = ["segment_id\tstart_time_seconds\tend_time_seconds\tlabel"]
    rows += [f"{clip}_0\t0.0\t0.2\t{label}" for clip in data_folders.TRAIN]
    table = folder / "audioset_train_strong.tsv"
    table.write_text("\n".join(rows), "utf-8")
    words = folder / "speech_commands_v0.02"
    data_folders.write_words(words, COMMANDS + OTHER_WORDS)
    write(words / NOISE_FOLDER / "noise.wav", 20)


def write_published(folder, downloads, cache):
    """Published models with random weights: files, and a cache of the hub."""
    downloads.mkdir()
    path = downloads / "ATST-F_strong_1.pt"
    torch.save(atst_file(n_classes=447), path)
    for name, form in HUB.items():
        model = cache / f"models--{name.replace('/', '--')}"
        snapshot = model / "snapshots" / ("0" * 40)
        snapshot.parent.mkdir(parents=True)
        FORMS[form].write(snapshot)
        (model / "refs").mkdir()
        (model / "refs" / "main").write_text("0" * 40)
    for name, form in (
        ("aum-base_audioset.pth", "AuM"),
        ("ast-finetuned-audioset", "AST folder"),
    ):
        path, _ = FORMS[form].write(folder / name.partition(".")[0])
        if path.is_file():
            path.rename(folder / name)


def lay_out(demo, tmp_path):
    """The folder of a reader, and the environment of the shell."""
    folder = tmp_path / "checkout"
    stand_ins.lay_out_checkout(folder)
    shutil.copytree(demo, folder / "results" / "demo")
    write_recordings(folder)
    write_data_sets(tmp_path / "data")
    write_published(folder, tmp_path / "downloads", tmp_path / "hub")
    programs = tmp_path / "bin"
    stand_ins.install(programs)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sounddevice.py").write_text(MICROPHONE, "utf-8")
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(tmp_path / "modules"),
        "DOWNLOADS": str(tmp_path / "downloads"),
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "",  # else each import compiles again
        "PYTHONPYCACHEPREFIX": str(demo.parent / "bytecode"),
    }
    return folder, environment


def run_shell(block, place):
    """Runs a block that must succeed."""
    folder, environment = place
    data = str(folder.parent / "data")
    block = re.sub(r"(?<=\s)/path/to\b", data, block)
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", block],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}"
    assert "Traceback" not in done.stdout, f"{block}\n{done.stdout}"


class Python:
    """Runs the Python of a page, block by block, in one process."""

    def __init__(self, place):
        folder, environment = place
        self.process = subprocess.Popen(
            [sys.executable, "-c", SESSION],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, code):
        """Runs a block that must succeed."""
        print(json.dumps(code), file=self.process.stdin, flush=True)
        printed = []
        for line in self.process.stdout:
            if line == END:
                return
            printed.append(line)
        raise AssertionError(f"{code}\n{''.join(printed)}")

    def close(self):
        self.process.communicate()


def run_page(page, place, with_slow):
    """Runs the blocks of a page, with or without those that are slow."""
    session = None
    if page == "docs/tutorial.md":
        shutil.rmtree(place[0] / "my_sounds")  # it records its own
    for language, block in blocks(page):
        if any(part in block for part in NOT_RUN):
            continue
        if is_slow(page, block) and not with_slow:
            continue
        if "ffmpeg" in block and shutil.which("ffmpeg") is None:
            continue
        # The stand-in for npm installs nothing
        if "npm install" in block and not (ROOT / "node_modules").is_dir():
            continue
        if language in SHELL:
            run_shell(block, place)
        if language == "python":
            session = session or Python(place)
            session.run(block)
    if session is not None:
        session.close()


@pytest.mark.parametrize("page", find_pages(slow=False))
def test_quick_blocks(page, demo, tmp_path):
    run_page(page, lay_out(demo, tmp_path), with_slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", find_pages(slow=True))
def test_all_blocks(page, exported_demo, tmp_path):
    run_page(page, lay_out(exported_demo, tmp_path), with_slow=True)


def test_blocks_that_are_not_run_exist():
    found = [block for page in PAGES for block in shell_blocks(page)]
    for part in NOT_RUN:
        assert any(part in block for block in found), part


def commands(page):
    """The shell commands of a page, as words; those of a pipe each."""
    for block in shell_blocks(page):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r" [|>] ", line):
                yield shlex.split(part, comments=True)


def yaml_keys(path):
    """The top-level keys of a yaml file, which are options of its recipe."""
    root = yaml.compose(path.read_text("utf-8"))
    return {key.value for key, _ in root.value}


def given_options(words):
    """The names of the options of a command."""
    return {
        word[2:].split("=")[0]
        for word in words
        if re.match(r"--\w", word) and word != "--help"
    }


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_options_of_the_commands_exist(page):
    run_options = set(RunOptions().as_dict())
    for words in commands(page):
        scripts = [word for word in words if "/train" in word]
        yamls = [word for word in words if word.endswith(".yaml")]
        if scripts and yamls:
            assert (ROOT / scripts[0]).exists(), words
            known = yaml_keys(ROOT / yamls[0]) | run_options
            after = words[words.index(yamls[0]) :]
            assert given_options(after) <= known, words
        if words[:1] == ["fftp-tag"] and "--help" not in words:
            main.parse(words[1:])  # ends the process if it cannot


def test_demo_fits_the_options_to_start_from_it(demo, tmp_path):
    """Whether its weights can be loaded, without a training."""
    [words] = [
        words
        for words in commands("docs/training.md")
        if "results/demo/inference" in words
    ]
    place = [word.endswith(".yaml") for word in words].index(True)
    options = words[place + 1 :]
    given = dict(zip(options[::2], options[1::2]))
    data_folders.write_class_folders(tmp_path)
    given["--data_folder"] = str(tmp_path)
    given["--pretrained"] = str(demo / "inference")
    overrides = {
        name[2:]: yaml.safe_load(value) for name, value in given.items()
    }
    with open(ROOT / words[place], encoding="utf-8") as file:
        hparams = load_hyperpyyaml(file, overrides)
    encoder = hparams.get("encoder", hparams["embedding_model"])
    trained = torch.load(demo / "inference" / "embedding_model.ckpt")
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, trained[name]), name
