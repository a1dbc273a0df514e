"""Programs that replace those of a reader in tests of the pages' commands.

They need no network, no microphone and no hours, but refuse what the programs
would refuse: files that are missing, extras that do not exist. ``install`` puts
them into a folder for the PATH; each then calls this script by its name.

Authors
 * The speechbrain_fftp authors 2026
"""

import configparser
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

BIN = Path(sys.executable).parent
SCRIPT = Path(__file__).resolve()
# A model and a training of seconds
SIZES = {"--embed_dim": "64", "--depth": "1"}
TRAINING = {
    "--number_of_epochs": "1",
    "--batch_size": "4",
    "--num_workers": "0",
}
# The width of the small published models, see published_forms.py
PUBLISHED = {**SIZES, "--mlp_ratio": "1.5"}
DEMO = {"--prepared_folder": "results/demo/prepared", "--skip_prep": "True"}
TWO_PROCESSES = {
    "--nnodes": "1",
    "--nproc_per_node": "2",
    "--rdzv_endpoint": "localhost:0",
}


def install(folder, names=None):
    """Writes the programs into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or PROGRAMS:
        path = folder / name
        path.unlink(missing_ok=True)
        call = f'exec "{sys.executable}" -S "{SCRIPT}" {name} "$@"'
        path.write_text(f"#!/bin/sh\n{call}\n", "utf-8")
        path.chmod(0o755)


def run(program, *words):
    """Becomes a program of this environment."""
    path = str(BIN / program)
    os.execv(path, [path, *words])


def pip(*words):
    """Looks at the files and extras that are to be installed."""
    assert words[0] == "install", words
    for option, value in zip(words, words[1:]):
        if option in ("-c", "-r"):
            assert Path(value).is_file(), value
    for target in words:
        if match := re.fullmatch(r"\.\[(\w+)\]", target):
            setup = configparser.ConfigParser()
            setup.read("setup.cfg")
            assert match[1] in setup["options.extras_require"], target
    if Path(".venv").is_dir():
        install(Path(".venv/bin"))


def curl(*words):
    """Downloads a file that the test has written."""
    assert words[0] == "-LO", words
    name = words[1].rpartition("/")[2]
    shutil.copy(Path(os.environ["DOWNLOADS"], name), name)


def npm(*words):
    """Looks at what is installed."""
    assert words[0] == "install", words
    assert Path("package.json").is_file()


# Options of a training without a value
FLAGS = ("--compile",)


def git(*words):
    """Makes a checkout of links to this one."""
    assert words[0] == "clone", words
    lay_out_checkout(Path(words[1].rpartition("/")[2].removesuffix(".git")))


def lay_out_checkout(folder):
    """Links what a clone has."""
    folder.mkdir(exist_ok=True)
    for path in SCRIPT.parents[2].iterdir():
        if path.name not in (".git", ".venv", "results"):
            (folder / path.name).symlink_to(path)


def python(*words):
    """Runs short trainings, a server until it is seen, and all other scripts."""
    if words[:2] == ("-m", "venv"):
        options = ["-m", "venv", "--without-pip", *words[2:]]
        subprocess.run([sys.executable, *options], check=True)
        install(Path(words[2], "bin"), ["pip"])
    elif words[:2] == ("-m", "http.server"):
        serve(words)
    elif any(word.endswith(".yaml") for word in words):
        run("python", *shorten(words))
    else:
        run("python", *words)


def serve(words):
    """Serves on a free port, looks at the page, and presses Ctrl+C."""
    with subprocess.Popen(
        [sys.executable, "-u", *words, "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        port = re.search(r"port (\d+)", server.stdout.readline())[1]
        address = f"http://127.0.0.1:{port}/index.html"
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert b"<html" in answer.read()
        server.send_signal(signal.SIGINT)
        server.communicate()
    sys.exit(server.returncode)


def shorten(words):
    """The words of a training, with a small model and one epoch."""
    place = [word.endswith(".yaml") for word in words].index(True) + 1
    start, options = words[:place], words[place:]
    flags = [word for word in options if word in FLAGS]
    options = [word for word in options if word not in FLAGS]
    given = dict(zip(options[::2], options[1::2]))
    assert all(name.startswith("--") for name in given), words
    source = given.get("--pretrained")
    if source is None:
        given.update(SIZES)
    elif source.endswith(".pt"):
        given.update(PUBLISHED)
    if start[-1].endswith("demo.yaml"):
        given.update(DEMO)
    given.update(TRAINING)
    options = [word for pair in given.items() for word in pair]
    return [*start, *options, *flags]


def torchrun(*words):
    """Trains in two processes on this machine's CPU."""
    launcher = ["-m", "torch.distributed.run"]
    place = [word.endswith(".py") for word in words].index(True)
    for word in words[:place]:
        name, equals, value = word.partition("=")
        launcher.append(f"{name}{equals}{TWO_PROCESSES.get(name, value)}")
    cpu = ["--device", "cpu", "--distributed_backend", "gloo"]
    run("python", *launcher, *shorten(words[place:]), *cpu)


def fftp_tag(*words):
    """Runs it; the one with a microphone ends with Ctrl+C."""
    if words[0] == "listen" and "--raw" not in words:
        done = subprocess.run([BIN / "fftp-tag", *words])
        sys.exit(0 if done.returncode == 130 else done.returncode or 1)
    run("fftp-tag", *words)


PROGRAMS = {
    "pip": pip,
    "curl": curl,
    "npm": npm,
    "git": git,
    "python": python,
    "python3": python,
    "torchrun": torchrun,
    "fftp-tag": fftp_tag,
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
