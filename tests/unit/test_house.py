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
# module that is in none of them belongs to the room of its package.
ROOMS = (
    "recipes",
    "fftp_tag.cli",
    "fftp_tag.learning",
    "fftp_tag.score",
    "fftp_tag.search",
    "fftp_tag.tag",
    "fftp_tag.foreign",
    "fftp_tag",
    "speechbrain_fftp.core",
    "speechbrain_fftp.training",
    "speechbrain_fftp.pretrained",
    "speechbrain_fftp.onnx",
    "speechbrain_fftp.inference",
    "speechbrain_fftp.utils",
    "speechbrain_fftp.lobes",
    "speechbrain_fftp.augment",
    "speechbrain_fftp.nnet",
    "speechbrain_fftp.datasets",
    "speechbrain_fftp.dataio",
    "speechbrain_fftp",
)
# What the recipe of a pull request has in place of SpeechBrain's core
CORE = "speechbrain_fftp.core"
EXPORTED_RECIPES = (
    "recipes.AudioSet.train",
    "recipes.AudioSet.audioset_prepare",
)
CONVERSION = "speechbrain_fftp.pretrained.convert"
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


def height(name):
    """The number of a module's room, from the top; 0 is the highest room."""
    while name not in ROOMS:
        name = name.rpartition(".")[0]
    return ROOMS.index(name)


def test_rooms_import_only_from_rooms_below():
    upward = [
        f"{name} imports {target}"
        for name, targets in import_graph().items()
        for target in targets & set(MODULES) - {"fftp_tag"}  # its public names
        if height(target) < height(name)
    ]
    assert not upward


def test_the_application_needs_no_torch():
    """But where it converts a model, inside a function."""
    graph, eager = import_graph(), import_graph(inside=False)
    new = {name for name in graph if name.split(".")[0] == "fftp_tag"}
    reached = set()
    while new:
        reached |= new
        found = set().union(*(graph[name] for name in new)) & set(MODULES)
        new = found - reached - {CONVERSION}
    for name in reached:
        assert not {x.split(".")[0] for x in graph[name]} & TORCH, name
        assert CONVERSION not in eager[name], name
    assert {"fftp_tag.tag.tagger", "speechbrain_fftp.dataio.audio"} < reached


def test_modules_do_not_import_in_a_cycle():
    graph = import_graph().items()
    ours = {name: targets & set(MODULES) for name, targets in graph}
    TopologicalSorter(ours).prepare()  # raises a CycleError


def test_what_goes_to_speechbrain_needs_nothing_else():
    """No exported file imports what only this package has."""
    exported = {
        f"speechbrain_fftp.{x}" for part in PARTS.values() for x in part
    }
    for name in (*exported, *EXPORTED_RECIPES):
        targets = import_graph()[name] & set(MODULES)
        assert targets <= exported | {CORE}, (name, targets - exported)


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
