"""Rooms import only from rooms below them, and never in a cycle.

Imports are read from the sources, those inside functions included. The rules
are explained in CONTRIBUTING.md.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
from pathlib import Path

import pytest
from graphlib import CycleError, TopologicalSorter

ROOT = Path(__file__).resolve().parents[2]
NAME = "speechbrain_fftp"
# From top to bottom; a room imports only from itself and the rooms below.
ROOMS = (
    "recipes",
    "cli",
    "training",
    "inference",
    "datasets",
    "pretrained",
    "metrics",
    "lobes",
    "augment",
    "nnet",
    "dataio",
)
# At the package's root: these import only each other.
ROOTS = {NAME, f"{NAME}.upstream_names"}


def sources(*folders):
    """The Python files in some folders of the project, by path."""
    paths = [p for folder in folders for p in (ROOT / folder).rglob("*.py")]
    return {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for path in sorted(paths)
    }


def module_name(path):
    """The name by which a file is imported; recipes import their neighbours."""
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    return "recipes." + parts[-1] if parts[0] == "recipes" else ".".join(parts)


MODULES = {
    module_name(path): path for path in sources("recipes", "speechbrain_fftp")
}


def imports(node, modules=MODULES, inside=True):
    """Names that a syntax tree imports, modules of the project in full.

    ``inside`` includes imports in functions.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, "a relative import"
            full = [f"{child.module}.{alias.name}" for alias in child.names]
            names = [x if x in modules else child.module for x in full]
        else:
            if inside or not isinstance(child, ast.FunctionDef):
                yield from imports(child, modules, inside)
            continue
        for name in names:
            recipe = f"recipes.{name}"
            yield recipe if recipe in modules else name


def import_graph():
    """The modules of the project that each of them imports."""
    graph = {}
    for name, path in MODULES.items():
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        graph[name] = set(imports(tree)) & set(MODULES)
    return graph


def room(name):
    """The room of a module, None for the modules at the package's root."""
    if name in ROOTS:
        return None
    return name.removeprefix(f"{NAME}.").split(".")[0]


def upward(graph):
    """Imports that point to a room above, or to a module at the root."""
    found = []
    for name, targets in graph.items():
        for target in targets:
            above, below = room(name), room(target)
            if below is None:
                allowed = True
            elif above is None:
                allowed = False
            else:
                allowed = ROOMS.index(above) <= ROOMS.index(below)
            found += [] if allowed else [f"{name} imports {target}"]
    return sorted(found)


def cycle(graph):
    """One cycle of a graph, as a list of its nodes, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]


def test_rooms_import_only_from_rooms_below():
    graph = import_graph()
    assert set(map(room, graph)) - {None} == set(ROOMS)
    assert not upward(graph)


def test_modules_do_not_import_in_a_cycle():
    assert cycle(import_graph()) is None


@pytest.mark.parametrize(
    "name, code, fault",
    [
        ("nnet.mamba", "import speechbrain_fftp.dataio.audio", None),
        ("nnet.mamba", "from speechbrain_fftp.nnet import patching", None),
        ("nnet.mamba", "import speechbrain_fftp.lobes.features", "nnet.mamba "),
        (
            "nnet.mamba",
            "from speechbrain_fftp.metrics import tagging",
            "metrics.",
        ),
        ("nnet.mamba", "from speechbrain_fftp import register", None),
        ("cli.main", "from audioset_prepare import main", "recipes.audioset_p"),
        ("upstream_names", "import speechbrain_fftp.nnet.mamba", "nnet.mamba"),
        ("upstream_names", "import speechbrain_fftp", None),
    ],
)
def test_imports_upward_are_found(name, code, fault):
    for text in (code, f"def function():\n    if True:\n        {code}"):
        found = set(imports(ast.parse(text))) & set(MODULES)
        wrong = upward({f"{NAME}.{name}": found})
        assert found
        assert fault in wrong[0] if fault else not wrong


def test_cycles_are_found():
    graph = {"a.x": {"b.y"}, "b.y": {"c.z"}, "c.z": set(), "b.c.v": {"b.y"}}
    assert cycle(graph) is None
    graph["c.z"] = {"a.x"}
    assert set(cycle(graph)) == {"a.x", "b.y", "c.z"}
