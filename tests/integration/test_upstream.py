"""Tests of the export into a source checkout of SpeechBrain.

The checkout is the installed SpeechBrain with the few files around it that the
export needs. The exported files run in processes that cannot import this
package.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import upstream
from hyperpyyaml import load_hyperpyyaml
from recipe_runs import TINY

import speechbrain
import speechbrain_fftp
from speechbrain_fftp.datasets.audioset.lists import read_segments

ROOT = Path(__file__).resolve().parents[2]
TASK = "recipes/AudioSet/Tagging"
NAMES = ["ast_fftp", "aum_fftp", "ast_fftp_shards"]
TABLE = (
    "| Tasks | Datasets | Models |\n| ---- | ---- | ---- |\n"
    "| Sound Classification | [ESC50](recipes/ESC50) | CNN14 |\n"
    "| Self-Supervised Learning | [CommonVoice](x) | wav2vec2 |\n"
)
# Recipes that SpeechBrain has, and this project's yaml files for them.
STOCK = {
    "recipes/ESC50/classification": ["ast_fftp", "aum_fftp"],
    "recipes/Google-speech-commands": [
        "ast_fftp",
        "ast_fftp_kaldi",
        "aum_fftp",
        "convnext_fftp",
    ],
}
STOCK_LINES = (
    "### To train with WHAM! noise\n|     vit.yaml     |\n"
    "If you use **SpeechBrain**, please cite:\n",
    "# for leaf\n| xvector + augment + LEAF v35 |\n",
)
LISTS = {"README.md": 1, "speechbrain/inference/__init__.py": 1}
LISTS.update({f"{task}/README.md": n for task, n in zip(STOCK, (46, 16))})


def make_checkout(folder, package=None):
    """Makes a minimal checkout, with all of SpeechBrain or two files of it."""
    (folder / "tests" / "recipes").mkdir(parents=True)
    (folder / "README.md").write_text(TABLE, "utf-8")
    for task, lines in zip(STOCK, STOCK_LINES):
        (folder / task).mkdir(parents=True)
        (folder / task / "README.md").write_text(f"Top\n{lines}", "utf-8")
    if package:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(package, folder / "speechbrain", ignore=ignored)
        return folder
    (folder / "speechbrain" / "inference").mkdir(parents=True)
    (folder / "speechbrain" / "core.py").write_text("", "utf-8")
    lines = "from . import *  # noqa\nfrom .text import *  # noqa\n"
    path = folder / "speechbrain" / "inference" / "__init__.py"
    path.write_text(lines, "utf-8")
    return folder


def read(folder):
    """The content of every file in a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(folder, task=TASK):
    """The rows of a recipe."""
    path = folder / "tests" / "recipes" / f"{task.split('/')[1]}.csv"
    with open(path, encoding="utf-8") as file:
        found = csv.DictReader(file)
        return [x for x in found if x["Script_file"].startswith(f"{task}/")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout, and what was in it before and after the export."""
    folder = tmp_path_factory.mktemp("upstream") / "checkout"
    make_checkout(folder, Path(speechbrain.__file__).parent)
    before = read(folder)
    written = upstream.export(folder)
    after = read(folder)
    assert set(written) == {p for p in after if after[p] != before.get(p)}
    return folder, before, after


@pytest.fixture(scope="module")
def child(checkout, tmp_path_factory):
    """Runs Python with the checkout and without this package."""
    blocked = tmp_path_factory.mktemp("blocked") / "speechbrain_fftp"
    blocked.mkdir()
    code = "raise ImportError('this package is imported')"
    (blocked / "__init__.py").write_text(code, "utf-8")

    def run(*arguments, cwd=checkout[0]):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env={
                **os.environ,
                "PYTHONPATH": f"{checkout[0]}{os.pathsep}{blocked.parent}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "OMP_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
        return done.stdout

    return run


def test_every_part_is_there(checkout):
    folder, before, after = checkout
    expected = {*upstream.exported_files().values()}
    expected.add("speechbrain/integrations/triton/__init__.py")
    for task, names in {TASK: NAMES, **STOCK}.items():
        expected.add(f"tests/recipes/{task.split('/')[1]}.csv")
        yamls = {f"{task}/hparams/{name}.yaml" for name in names}
        assert yamls <= expected
        assert {row["Hparam_file"] for row in rows(folder, task)} == yamls
    assert set(after) - set(before) == expected


def test_files_of_speechbrain_only_gain_lines_where_it_lists_its_parts(
    checkout,
):
    folder, before, after = checkout
    changed = {path for path in before if after[path] != before[path]}
    assert changed == set(LISTS)
    for path, count in LISTS.items():
        old, new = (text[path].decode().splitlines() for text in checkout[1:])
        rest = iter(new)
        assert all(line in rest for line in old)
        assert len(new) - len(old) == count
    readme = after["README.md"].decode().splitlines()
    assert readme[2].startswith("| Sound Classification |")
    assert readme[3].startswith("| Audio Tagging | [AudioSet](recipes/Aud")
    linked = re.findall(r"\]\((recipes/\w+)\)", readme[3])
    assert linked and all((folder / path).is_dir() for path in linked)


def test_nothing_refers_to_this_package(checkout):
    folder, before, after = checkout
    for path in set(after) - set(before) | set(LISTS):
        text = after[path].decode()
        text = text.replace("The speechbrain_fftp authors", "")
        assert not re.search(
            "speechbrain_fftp|fftp-tag|make demo|(recipes|hparams)/stock"
            "|learn_thresholds|ast_fftp_frames|\\bCED\\b",
            text,
        ), path


def test_a_second_export_changes_nothing(checkout, capsys):
    folder, before, after = checkout
    assert upstream.main([str(folder)]) == 0
    assert capsys.readouterr().out == "0 files written\n"
    assert read(folder) == after


def test_an_export_renews_an_earlier_one(tmp_path, capsys):
    folder = make_checkout(tmp_path / "checkout")
    upstream.export(folder)
    expected = read(folder)
    for path in ("speechbrain/augment/specmask.py", f"{TASK}/README.md"):
        with open(folder / path, "a", encoding="utf-8") as file:
            file.write("# old\n")
    assert upstream.main([str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "speechbrain/augment/specmask.py",
        f"{TASK}/README.md",
        "2 files written",
    ]
    assert read(folder) == expected


def test_rows_join_those_that_speechbrain_has(tmp_path):
    folder = make_checkout(tmp_path / "checkout")
    path = folder / "tests" / "recipes" / "AudioSet.csv"
    columns = (ROOT / "tests" / "stock_recipes.csv").read_text().splitlines()[0]
    theirs = 'Other,AudioSet,a.py,b.yaml,,c.md,,,--debug,"x,y",'
    path.write_text(f"{columns},test_download\n{theirs},", "utf-8")
    for _ in range(2):
        upstream.export(folder)
        lines = path.read_text("utf-8").splitlines()
        assert lines[:2] == [f"{columns},test_download", f"{theirs},"]
        ours = [row["Hparam_file"] for row in rows(folder)]
        assert ours == [f"{TASK}/hparams/{name}.yaml" for name in NAMES]


def test_rows_name_files(checkout):
    folder = checkout[0]
    for row in rows(folder):
        for column in ("Script_file", "Data_prep_file", "Readme_file"):
            assert row[column].startswith(f"{TASK}/")
            assert (folder / row[column]).is_file()
        flags = dict(re.findall(r"--(\w+)=(\S+)", row["test_debug_flags"]))
        assert (folder / flags["data_folder"] / "eval_segments.csv").is_file()


def exported_modules():
    """Paths of the exported modules, without tests of integrations."""
    paths = upstream.exported_files().values()
    return [p for p in paths if re.match(r"speechbrain/(?!.*/tests/)", p)]


IMPORTS = """
import importlib, pathlib, sys
for name in sys.argv[2:]:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name == "triton", error
        continue
    assert module.__name__ == name and module.__spec__.name == name
import speechbrain.inference
assert speechbrain.inference.AudioTagger.__module__.startswith("speechbrain.")

import hyperpyyaml
for path in sorted(pathlib.Path("recipes").rglob("hparams/*.yaml")):
    with open(path) as file:
        hparams = hyperpyyaml.load_hyperpyyaml(
            file, {"data_folder": "data", "output_folder": sys.argv[1]}
        )
    model = hparams.get("encoder", hparams["embedding_model"])
    assert type(model).__module__.startswith("speechbrain.lobes.models."), path
    print(path.parent.parent / path.stem)
assert not any(name.startswith("speechbrain_fftp") for name in sys.modules)
"""


def test_modules_import_and_yaml_files_load(checkout, child, tmp_path):
    paths = exported_modules()
    assert len(paths) > 25
    names = [p[:-3].replace("/", ".").replace(".__init__", "") for p in paths]
    printed = child("-c", IMPORTS, tmp_path, *names)
    expected = {TASK: NAMES, **STOCK}.items()
    assert sorted(printed.splitlines()) == sorted(
        f"{task}/{name}" for task, names in expected for name in names
    )


@pytest.mark.slow
def test_doctests_and_unit_tests_pass(checkout, child):
    modules = [p for p in exported_modules() if "/integrations/" not in p]
    tests = sorted((checkout[0] / "tests" / "unittests").glob("test_*.py"))
    assert len(tests) > 15
    plain = ("--rootdir", checkout[0], "-c", os.devnull)
    options = ("-q", "-p", "no:cacheprovider", "-o", "addopts=", *plain)
    doctests = ("--doctest-modules", "-o", "doctest_optionflags=ELLIPSIS")
    child("-m", "pytest", *options, *doctests, *modules, *tests)


@pytest.mark.parametrize("name", ["ast_fftp", "ast_fftp_shards"])
def test_recipe_trains(checkout, child, data_folder, tmp_path, name):
    options = {**TINY, "number_of_epochs": 1, "data_folder": data_folder}
    options.update(output_folder=tmp_path, valid_fraction=0.3)
    if name == "ast_fftp_shards":
        pytest.importorskip("webdataset")
        options.update(train_splits="[balanced]", clips_per_shard=5)
    flags = [f"--{key}={value}" for key, value in options.items()]
    child("train.py", f"hparams/{name}.yaml", *flags, cwd=checkout[0] / TASK)
    text = (tmp_path / "hyperparams.yaml").read_text("utf-8")
    assert "!new:speechbrain.lobes.models.AST.AST" in text
    manifests = [tmp_path / "save" / f"{x}.csv" for x in ("train", "valid")]
    sizes = [len(path.read_text().splitlines()) - 1 for path in manifests]
    assert sum(sizes) == 24 and min(sizes) > 2
    shards = list((tmp_path / "save").glob("shards/*.tar"))
    assert len(shards) == (-(-sizes[0] // 5) if "shards" in name else 0)
    # Each class with its number of clips in the evaluation set
    clips = read_segments(data_folder / "eval_segments.csv")
    with open(data_folder / "class_labels_indices.csv") as file:
        names = {
            row["mid"]: row["display_name"] for row in csv.DictReader(file)
        }
    listed = [names[mid] for clip in clips for mid in clip.mids]
    with open(tmp_path / "per_class.tsv", encoding="utf-8") as file:
        found = list(csv.DictReader(file, delimiter="\t"))
    counts = {row["class"]: int(row["clips"]) for row in found}
    assert counts == {x: listed.count(x) for x in names.values() if x in listed}
    log = (tmp_path / "train_log.txt").read_text("utf-8").splitlines()
    assert len(log) == 2 and "valid mAP" in log[0]
    mean = sum(float(row["AP"]) for row in found) / len(found)
    said = float(re.search(r"test mAP: ([\d.e+-]+)", log[1])[1])
    assert said == pytest.approx(mean, rel=0.01)


@pytest.mark.parametrize("name", ["ast_fftp", "aum_fftp"])
def test_register_makes_its_yaml_files_load(checkout, tmp_path, name):
    speechbrain_fftp.register()
    folders = {"data_folder": "data", "output_folder": str(tmp_path)}
    loaded = []
    stock = ROOT / "hparams" / "stock" / "AudioSet" / "Tagging"
    for folder in (stock, checkout[0] / TASK / "hparams"):
        text = (folder / f"{name}.yaml").read_text("utf-8")
        loaded.append(
            load_hyperpyyaml(text, {**folders, "embed_dim": 64, "depth": 2})
        )
    assert "!new:speechbrain.lobes.kaldi_features.KaldiFbank" in text
    assert "speechbrain_fftp." not in text
    wavs = torch.randn(2, 16000)
    outputs = []
    for hparams in loaded:
        for module in hparams["modules"].values():
            module.eval()
        with torch.no_grad():
            feats = hparams["compute_features"](wavs)
            outputs.append(hparams["embedding_model"](feats))
    for key in ("embedding_model", "checkpointer", "spec_mask"):
        assert type(loaded[0][key]) is type(loaded[1][key])
    assert outputs[0].shape == (2, 1, 64)
    assert outputs[0].std() > 0
    assert torch.equal(*outputs)


def test_linter_is_content(checkout):
    pytest.importorskip("ruff")
    folder, before, after = checkout
    files = [p for p in set(after) - set(before) if p.endswith(".py")]
    config = ["--no-cache", "--config", str(ROOT / "pyproject.toml"), *files]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *config],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "missing", ["speechbrain/core.py", "recipes", "tests", "README.md"]
)
def test_another_folder_is_an_error(tmp_path, capsys, missing):
    folder = make_checkout(tmp_path / "checkout")
    path = folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = read(folder)
    assert upstream.main([str(folder)]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        f"upstream: {folder} is not a source checkout of SpeechBrain: "
        f"{missing} is missing"
    ]
    assert not captured.out
    assert read(folder) == before


def test_a_missing_folder_is_an_error(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "upstream.py"), "none"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("upstream: none is not a source checkout")
    assert not done.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "path",
    [
        "speechbrain/augment/specmask.py",
        "speechbrain/nnet/selective_scan/__init__.py",
        f"{TASK}/train.py",
        "tests/samples/AudioSet/eval_segments.csv",
    ],
)
def test_files_of_speechbrain_are_not_replaced(tmp_path, capsys, path):
    folder = make_checkout(tmp_path / "checkout")
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_text('"""Another."""\n', "utf-8")
    before = read(folder)
    assert upstream.main([str(folder)]) == 1
    assert f"already has {path}" in capsys.readouterr().err
    assert read(folder) == before


def test_lists_without_their_line_are_reported(tmp_path, capsys):
    folder = make_checkout(tmp_path / "checkout")
    (folder / "README.md").write_text("No table.\n", "utf-8")
    assert upstream.main([str(folder)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("README.md: not added, since no line starts with")
    assert (folder / "README.md").read_text("utf-8") == "No table.\n"


def test_imports_are_sorted_and_broken_at_80_columns():
    text = (
        "from speechbrain.utils.logger import get_logger\n"
        "from speechbrain_fftp.dataio.files import (\n"
        "    write_csv,\n    write_json_and_more_in_files,\n)\n"
        "from speechbrain_fftp.lobes.features import (\n"
        "    DatasetNormalization,\n    KaldiFbank,\n    Other,\n)\n"
    )
    assert upstream.rename(text) == (
        "from speechbrain.dataio.files import "
        "write_csv, write_json_and_more_in_files\n"
        "from speechbrain.lobes.kaldi_features import (\n"
        "    DatasetNormalization,\n    KaldiFbank,\n    Other,\n)\n"
        "from speechbrain.utils.logger import get_logger\n"
    )
    line = "    from speechbrain_fftp.nnet.position import PositionEmbedding, "
    for length, count in ((80, 1), (81, 4)):
        name = "x" * (length + len("_fftp") - len(line))
        assert len(upstream.rename(f"{line}{name}\n").splitlines()) == count


def test_imports_keep_their_comments_and_are_all_kept():
    text = (
        "from speechbrain.utils.logger import get_logger\n"
        "from speechbrain_fftp.nnet.mamba import Mamba  # noqa\n"
        "from speechbrain_fftp.nnet.mamba import MambaBlock as Block\n"
    )
    assert sorted(upstream.rename(text).splitlines()) == sorted(
        text.replace("_fftp", "").splitlines()
    )


def test_renamed_modules_are_imported_under_the_name_that_the_code_uses():
    text = ">>> from speechbrain_fftp.lobes import features\n>>> features.x\n"
    assert upstream.rename(text) == (
        ">>> from speechbrain.lobes import kaldi_features as features\n"
        ">>> features.x\n"
    )


def test_only_whole_names_are_renamed():
    for text in (
        "The speechbrain_fftp authors 2026",
        "my_speechbrain_fftp.nnet",
        "speechbrain.utils.pretrained_encoders",
    ):
        assert upstream.rename(text) == text
    for here, there in (
        ("pretrained", "pretrained_encoders"),
        ("pretrained.ast", "pretrained_encoders.ast"),
        ("pretrained_more", "pretrained_more"),
        ("pretrained.load_aum", "pretrained_encoders.load_aum"),
    ):
        renamed = upstream.rename(f"speechbrain_fftp.{here}, and")
        assert renamed == f"speechbrain.{there}, and"
