"""Rooms import only from rooms below them, and never in a cycle.

Imports are read from the sources, those inside functions included, but not
those for type hints alone. The rules are explained in CONTRIBUTING.md.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import functools
import re
from pathlib import Path

from graphlib import TopologicalSorter

from speechbrain_fftp.upstream_names import MODULES as PARTS

ROOT = Path(__file__).resolve().parents[2]
# From top to bottom; a room imports only from itself and the rooms below. A
# module that is in none of them belongs to the room of its package. So the
# plugin imports the application, and never the other way round; and what goes
# to SpeechBrain imports neither.
ROOMS = (
    "recipes",
    "speechbrain_fftp",
    "speechbrain_fftp.core",
    "speechbrain_fftp.training",
    "speechbrain_fftp.pretrained",
    "speechbrain_fftp.onnx",
    "fftp_tag.cli",
    "fftp_tag",
    "fftp_tag.review",
    "fftp_tag.learning",
    "fftp_tag.score",
    "fftp_tag.search",
    "fftp_tag.store",
    "fftp_tag.tag",
    "fftp_tag.model",
    "fftp_tag.data",
    "fftp_tag.audio",
    "fftp_tag.parallel",
    "fftp_tag.progress",
    "fftp_tag.packages",
    "fftp_tag.held",
    "fftp_tag.files",
    "fftp_tag.errors",
    "fftp_tag.version",
    "speechbrain_fftp.inference",
    "speechbrain_fftp.utils",
    "speechbrain_fftp.lobes",
    "speechbrain_fftp.augment",
    "speechbrain_fftp.nnet",
)
# The one way back: a torch checkpoint is converted where the plugin is installed
CONVERSION = "speechbrain_fftp.pretrained.convert"
WAY_BACK = "fftp_tag.model.sources", CONVERSION
TORCH = {"torch", "torchaudio", "speechbrain"}


def find_modules():
    """The path of each module of the project, by name."""
    found = {}
    for folder in ("recipes", "speechbrain_fftp", "fftp_tag"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix().removesuffix(".py")
            found[name.removesuffix("/__init__").replace("/", ".")] = path
    return found


MODULES = find_modules()


def imports(node, inside=True):
    """Names that a syntax tree imports, ``inside`` functions as well."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, "a relative import"
            for alias in child.names:
                full = f"{child.module}.{alias.name}"
                yield full if full in MODULES else child.module
        elif isinstance(child, ast.FunctionDef) and not inside:
            continue
        elif getattr(getattr(child, "test", None), "id", "") != "TYPE_CHECKING":
            yield from imports(child, inside)


@functools.lru_cache
def import_graph(inside=True):
    """What each module imports, of the project or not."""
    return {
        name: set(imports(ast.parse(path.read_text("utf-8")), inside))
        for name, path in MODULES.items()
    }


def room_of(name):
    """The room of a module, itself or a package that it is in."""
    while name not in ROOMS:
        name = name.rpartition(".")[0]
    return name


def test_rooms_import_only_from_rooms_below():
    upward = [
        (name, target)
        for name, targets in import_graph().items()
        for target in targets & set(MODULES)
        if ROOMS.index(room_of(target)) < ROOMS.index(room_of(name))
    ]
    assert upward == [WAY_BACK]
    assert CONVERSION not in import_graph(inside=False)[WAY_BACK[0]]


def test_the_application_needs_no_torch():
    for name, targets in import_graph().items():
        if name.split(".")[0] == "fftp_tag":
            assert not {x.split(".")[0] for x in targets} & TORCH, name


def test_modules_do_not_import_in_a_cycle():
    graph = import_graph().items()
    ours = {name: targets & set(MODULES) for name, targets in graph}
    TopologicalSorter(ours).prepare()  # raises a CycleError


def test_yaml_files_name_what_there_is():
    """And those of SpeechBrain's recipes nothing of this project alone."""
    exported = {x for part in PARTS.values() for x in part}
    for path in (ROOT / "hparams").rglob("*.yaml"):
        names = re.findall(
            r"!(?:new|name|apply):([\w.]+)\.\w+", path.read_text()
        )
        assert names or "paper" in path.parts  # short ones
        for name in names:
            package, _, module = name.partition(".")
            if package in ("fftp_tag", "speechbrain_fftp"):
                assert any(
                    x in MODULES for x in (name, name.rpartition(".")[0])
                )
            if "stock" in path.parts and package == "speechbrain_fftp":
                assert module in exported, (path, name)
            assert "stock" not in path.parts or package != "fftp_tag"


def test_recipes_are_on_their_own():
    """No recipe imports another, and no yaml hands its functions on."""
    ours = {path.stem: path for path in (ROOT / "recipes").rglob("*.py")}
    for path in ours.values():
        text = path.read_text("utf-8")
        assert "sys.path" not in text, path
        for target in imports(ast.parse(text)):
            neighbour = path.with_name(f"{target.split('.')[0]}.py")
            assert target.split(".")[0] not in ours or neighbour.is_file()
    for path in (ROOT / "hparams").rglob("*.yaml"):
        for line in path.read_text("utf-8").splitlines():
            found = re.search(r"!\w+:(\w+)\.", line)
            if found and found[1] in ours:
                assert re.match(r"\w+:", line), f"{path}: {line}"
