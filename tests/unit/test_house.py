"""Rooms import only from rooms below them, and never in a cycle.

Imports are read from the sources, those inside functions included, but not those
for type hints alone. The rules are explained in CONTRIBUTING.md.

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
    "fftp_tag.cli",
    "fftp_tag.learning",
    "fftp_tag.score",
    "fftp_tag.search",
    "fftp_tag.tag",
    "fftp_tag",
    "recipes",
    "training",
    "pretrained",
    "onnx",
    "inference",
    "datasets",
    "utils",
    "lobes",
    "augment",
    "nnet",
    "dataio",
)
# At a package's root, above all rooms
ROOTS = {NAME, f"{NAME}.upstream_names", "fftp_tag"}
CONVERSION = f"{NAME}.pretrained.convert"
WITHOUT_TORCH = {f"{NAME}.onnx", f"{NAME}.onnx.int8", f"{NAME}.onnx.graphs"}


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
    module_name(path): path for path in sources("recipes", NAME, "fftp_tag")
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
            is_skipped = isinstance(child, ast.FunctionDef) and not inside
            if not is_skipped and not is_for_types(child):
                yield from imports(child, modules, inside)
            continue
        for name in names:
            recipe = f"recipes.{name}"
            yield recipe if recipe in modules else name


def is_for_types(node):
    """Whether a syntax tree is a block ``if TYPE_CHECKING``."""
    return (
        isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )


def import_graph(inside=True):
    """The modules of the project that each of them imports."""
    graph = {}
    for name, path in MODULES.items():
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        graph[name] = set(imports(tree, inside=inside)) & set(MODULES)
    return graph


def is_application(name):
    """Whether a module is part of fftp_tag."""
    return name.split(".")[0] == "fftp_tag"


def room(name):
    """The room of a module, None for the modules at the package's root."""
    if name in ROOTS:
        return None
    if is_application(name):
        parent = ".".join(name.split(".")[:2])
        return parent if parent in ROOMS else "fftp_tag"
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


def test_the_application_needs_no_torch():
    """But where it converts a model, inside a function."""
    graph, eager = import_graph(), import_graph(inside=False)
    application = set(filter(is_application, graph))
    reached, new = set(), application
    while new:
        reached |= new
        targets = {target for name in new for target in graph[name]}
        new = targets - reached - {CONVERSION}
    rooms = {room(name) for name in reached - application - WITHOUT_TORCH}
    assert rooms <= {None, "dataio", "datasets"}
    for name in reached:
        tree = ast.parse((ROOT / MODULES[name]).read_text("utf-8"))
        tops = {target.split(".")[0] for target in imports(tree)}
        assert not tops & {"torch", "torchaudio", "speechbrain"}, name
        assert CONVERSION not in eager[name], name


def test_modules_do_not_import_in_a_cycle():
    assert cycle(import_graph()) is None
