"""Rooms import only from rooms below them, and never in a cycle.

Imports are read from the sources, those inside functions included. The rules
are explained in CONTRIBUTING.md.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
from pathlib import Path

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
    "utils",
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
