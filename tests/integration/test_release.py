"""Tests what a release consists of: its tag, its wheel and its sdist.

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import release
import soundfile as sf
from recipe_runs import ROOT
from tiny_onnx import RATE, sounds

from fftp_tag.errors import InputError
from fftp_tag.version import __version__

IN_WHEEL = (
    "fftp_tag/starter/model.onnx",
    "fftp_tag/starter/attribution.csv",
    "fftp_tag/learning/bank.ogg",
    "fftp_tag/learning/bank.csv",
    "fftp_tag/page/index.html",
    "fftp_tag/page/page.js",
    "fftp_tag/review/review.html",
    "fftp_tag/data/class_labels_indices.csv",
    "fftp_tag/py.typed",
    "speechbrain_fftp/core.py",
)
# In a folder without the checkout
USE = """
from pathlib import Path
import sys
import fftp_tag, speechbrain_fftp
from fftp_tag.learning.bank import read_bank
from fftp_tag.model.sources import STARTER_MODEL

for package in (fftp_tag, speechbrain_fftp):
    assert Path(package.__file__).is_relative_to(sys.prefix), package.__file__
assert len(fftp_tag.AudioTagger.from_pretrained("starter").labels) == 527
assert len(read_bank()) > 100
if len(sys.argv) > 1:
    from speechbrain_fftp.lobes.models.AST import AST
    AST(embed_dim=8, depth=1, num_heads=1)
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of the files that a release changes."""
    for name in release.CHANGES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((ROOT / name).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    for key in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{key}_NAME", "a")
        monkeypatch.setenv(f"GIT_{key}_EMAIL", "a@b.c")
    release.git("init", "--quiet")
    release.git("add", ".")
    release.git("commit", "--quiet", "--message", "before")
    return tmp_path


def test_a_release_has_its_version_everywhere(checkout):
    release.release("7.8.9", "2026-12-01")
    texts = {x: (checkout / x).read_text("utf-8") for x in release.CHANGES}
    assert "\n## 7.8.9, 2026-12-01\n" in texts["CHANGELOG.md"]
    assert "not released" not in "".join(texts.values())
    assert all("7.8.9" in text for text in texts.values())
    assert release.git("status", "--porcelain") == ""
    assert release.git("describe") == "v7.8.9"


def test_what_cannot_be_released_is_left_as_it_is(checkout):
    release.release("7.8.9", "2026-12-01")
    for number, message in (("7.8.9", "a tag"), ("v8", "no version")):
        with pytest.raises(InputError, match=message):
            release.release(number, "2026-12-02")
    with pytest.raises(InputError, match=r"CHANGELOG\.md"):
        release.release("7.9.0", "2026-12-02")  # no section that is open
    (checkout / "README.md").write_text("changed")
    with pytest.raises(InputError, match="changed"):
        release.release("7.9.0", "2026-12-02")
    assert release.git("describe") == "v7.8.9"


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The wheel, and the sdist that it is built from, of the tracked files."""
    folder = tmp_path_factory.mktemp("release")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode != 0:
        pytest.skip("this is no checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = folder / "source" / name
        if (ROOT / name).is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((ROOT / name).read_bytes())
    build = "import setuptools.build_meta as b; b.build_sdist('../dist')"
    subprocess.run(
        [sys.executable, "-c", build], cwd=folder / "source", check=True
    )
    [sdist] = (folder / "dist").glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"]
    newest = tuple(map(int, version("setuptools").split(".")[:2])) >= (70, 1)
    if newest or find_spec("wheel"):  # or else pip downloads them
        pip += ["--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", folder / "dist", sdist], check=True)
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel, sdist


@pytest.mark.slow
def test_archives_hold_what_is_used(archives):
    wheel, sdist = archives
    assert __version__ in wheel.name and __version__ in sdist.name
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    with tarfile.open(sdist) as file:
        in_sdist = {x.name.partition("/")[2] for x in file.getmembers()}
    assert set(IN_WHEEL) <= names & in_sdist
    assert any(x.endswith("LICENSE") for x in names) and "LICENSE" in in_sdist
    tops = {name.partition("/")[0] for name in names}
    assert {x for x in tops if ".dist-info" not in x} == {
        "fftp_tag",
        "speechbrain_fftp",
    }
    for path in ("fftp_tag", "speechbrain_fftp"):
        of_checkout = {
            x.relative_to(ROOT).as_posix() for x in (ROOT / path).rglob("*.py")
        }
        assert of_checkout <= names
    assert wheel.stat().st_size < 6e6 and sdist.stat().st_size < 6e6


@pytest.mark.slow
def test_the_wheel_is_used_outside_the_checkout(archives, tmp_path):
    """In a new environment, which has the other packages of this one."""
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    site = next((tmp_path / "venv" / "lib").glob("*/site-packages"))
    others = sysconfig.get_path("purelib")
    (site / "others.pth").write_text(others)

    def run(*words):
        done = subprocess.run(
            words, cwd=tmp_path, capture_output=True, text=True, env={}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    pip = [programs / "pip", "install", "-q", "--no-index", "--no-deps"]
    run(*pip, archives[0])
    has_torch = [] if find_spec("speechbrain") is None else ["train"]
    run(programs / "python", "-c", USE, *has_torch)
    sf.write(tmp_path / "clip.wav", sounds(3.0), RATE)
    assert "clip.wav" in run(programs / "fftp-tag", "clip.wav")
    run(programs / "fftp-tag", "page", "starter", "page")
    assert Path(tmp_path, "page", "index.html").is_file()
