"""Tests of the rules that keep the project's layout readable.

Imports are read from the sources, those inside functions included. The rules
are explained in CONTRIBUTING.md.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import configparser
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from graphlib import CycleError, TopologicalSorter

from speechbrain_fftp.upstream_names import RENAMED

ROOT = Path(__file__).resolve().parents[2]
NAME = "speechbrain_fftp"
# From top to bottom; a room imports only from itself and the rooms below.
ROOMS = (
    "recipes",
    "cli",
    "training",
    "inference",
    "datasets",
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
            if above is None or below is None:
                allowed = above is below
            else:
                allowed = ROOMS.index(above) <= ROOMS.index(below)
            found += [] if allowed else [f"{name} imports {target}"]
    return sorted(found)


def folders(graph, packages=None):
    """The folders of the package that the modules of each folder import."""
    if packages is None:
        packages = {n for n, p in MODULES.items() if p.endswith("__init__.py")}
    merged = {}
    for name, targets in graph.items():
        *both, own = (
            x if x in packages else x.rpartition(".")[0]
            for x in (*targets, name)
        )
        merged.setdefault(own, set()).update(set(both) - {own})
    return merged


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


def test_neither_modules_nor_folders_import_in_a_cycle():
    graph = import_graph()
    assert cycle(graph) is None
    assert cycle(folders(graph)) is None


@pytest.mark.parametrize(
    "name, code, fault",
    [
        ("nnet.mamba", "import speechbrain_fftp.dataio.audio", None),
        ("nnet.mamba", "from speechbrain_fftp.nnet import patching", None),
        ("nnet.mamba", "import speechbrain_fftp.lobes.features", "nnet.mamba "),
        ("nnet.mamba", "from speechbrain_fftp.utils import metrics", "utils."),
        ("nnet.mamba", "from speechbrain_fftp import register", "fftp"),
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
    packages = {"a", "b", "c", "b.c"}
    assert cycle(graph) is None
    assert cycle(folders(graph, packages)) is None
    graph["b.w"] = {"a.x"}
    assert cycle(graph) is None
    assert set(cycle(folders(graph, packages))) == {"a", "b"}
    graph["c.z"] = {"a.x"}
    assert set(cycle(graph)) == {"a.x", "b.y", "c.z"}
    within = {"b.c": set(), "b.d": {"b.c.v"}, "b.c.v": {"b.e"}}
    assert set(cycle(folders(within, packages))) == {"b", "b.c"}


def dependencies():
    """SpeechBrain, this package and what SpeechBrain depends on."""
    required = importlib.metadata.requires("speechbrain")
    names = [
        re.match(r"[\w.-]+", x)[0] for x in required if "extra ==" not in x
    ]
    # The last two are dependencies of hyperpyyaml.
    more = {"speechbrain", NAME, "ruamel", "yaml"}
    return more.union(name.replace("-", "_") for name in names)


def test_modules_need_only_what_speechbrain_needs():
    known = dependencies() | sys.stdlib_module_names
    assert {"torch", "torchaudio", "hyperpyyaml", "soundfile"} <= known
    assert not {"sklearn", "pyarrow", "triton", "matplotlib"} & known
    # Triton's modules become integrations; nothing imports them at the top.
    optional = {
        f"{NAME}.{here}"
        for here, there in RENAMED.items()
        if there.startswith("integrations.")
    }
    wrong = []
    for name, path in MODULES.items():
        if name not in optional and room(name) != "recipes":
            tree = ast.parse((ROOT / path).read_text("utf-8"))
            for target in imports(tree, inside=False):
                if target in optional or target.split(".")[0] not in known:
                    wrong.append(f"{name} imports {target}")
    assert not wrong


def test_optional_packages_do_not_keep_tests_from_being_collected():
    """Such as those on a machine with a GPU, without the page's packages."""
    optional = {"gradio", "psds_eval", "selenium", "webdataset"}
    wrong = []
    for path, text in sources("tests").items():
        for target in imports(ast.parse(text), inside=False):
            if target.split(".")[0] in optional:
                wrong.append(f"{path} imports {target}")
    assert not wrong


def test_imports_in_functions_are_told_from_others():
    text = "try:\n    import a\nfinally:\n    pass\ndef f():\n    import b\n"
    text += "class C:\n    import c\n    def g(self):\n        import d\n"
    tree = ast.parse(text)
    assert set(imports(tree)) == {"a", "b", "c", "d"}
    assert set(imports(tree, inside=False)) == {"a", "c"}


@pytest.mark.parametrize(
    "folder, most", [("speechbrain_fftp", 16_700), ("benchmarks", 5_590)]
)
def test_lines_of_a_folder(folder, most):
    lines = sum(text.count("\n") for text in sources(folder).values())
    assert lines <= most


def test_columns():
    """Ruff does not check them: its E501 is off, as in SpeechBrain."""
    lines = {
        f"{path}:{number}"
        for path, text in sources("speechbrain_fftp").items()
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > 80
    }
    assert not lines


def test_lines_of_files():
    texts = sources("speechbrain_fftp")
    texts["README.md"] = (ROOT / "README.md").read_text("utf-8")
    lines = {path: text.count("\n") for path, text in texts.items()}
    assert lines.pop("README.md") <= 200
    assert not {path: count for path, count in lines.items() if count > 300}


def test_utils_holds_three_things():
    found = {p.name for p in (ROOT / NAME / "utils").iterdir()}
    expected = {
        "__init__.py",
        "complexity.py",
        "event_metrics.py",
        "metrics.py",
        "pretrained",
    }
    assert found - {"__pycache__"} == expected


def header_faults(text):
    """What a module's docstring has wrong."""
    docstring = ast.get_docstring(ast.parse(text)) or ""
    first = docstring.partition("\n")[0]
    wrong = []
    if not re.fullmatch(r"([A-Z0-9]|``|\w+\.\w).*\w\W*\.", first):
        wrong.append(f"its first line is no sentence: {first!r}")
    if not re.search(r"\n\nAuthors\n \* The \w+ authors \d{4}\Z", docstring):
        wrong.append("it does not end with the authors")
    return wrong


@pytest.mark.parametrize(
    "path", sources(NAME, "recipes", "tools", "benchmarks", "docs", "tests")
)
def test_modules_say_what_they_hold(path):
    assert not header_faults((ROOT / path).read_text("utf-8"))


def test_headers_without_a_sentence_are_found():
    good = '"""The ``fftp-tag`` command.\n\nAuthors\n * The x authors 2026\n"""'
    assert not header_faults(good)
    for old, new in (
        ("The ``", "the ``"),
        ("mand.", "mand,"),
        ("command.", "command"),
    ):
        assert "no sentence" in header_faults(good.replace(old, new, 1))[0]
    assert "authors" in header_faults(good.replace("2026", ""))[0]
    assert len(header_faults("import ast\n")) == 2


def named_paths(path):
    """Paths of files and folders of the project that a text names."""
    text = (ROOT / path).read_text("utf-8")
    folders = "recipes|hparams|benchmarks|docs|tools|tests|speechbrain_fftp"
    pattern = rf"(?<![\w/.-])(?:{folders})/(?:[\w.-]+/)*(?:[\w-]+\.\w+)?"
    return [x for x in re.findall(pattern, text) if not x.endswith(".png")]


@pytest.mark.parametrize(
    "path, least",
    [
        ("Makefile", 10),
        ("tests/recipes.csv", 30),
        ("CONTRIBUTING.md", 30),
    ],
)
def test_named_paths_exist(path, least):
    found = named_paths(path)
    assert len(found) >= least
    assert not {x for x in found if not (ROOT / x).exists()}


def test_paths_of_the_settings_exist():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", "utf-8")
    scripts = settings["options.entry_points"]["console_scripts"]
    module, function = scripts.partition(" = ")[2].split(":")
    assert module in MODULES
    assert f"def {function}(" in (ROOT / MODULES[module]).read_text("utf-8")
    omitted = re.search(
        r"omit = \[(.*)\]", (ROOT / "pyproject.toml").read_text()
    )
    for pattern in re.findall(r'"(.*?)"', omitted[1]):
        assert list(ROOT.joinpath(NAME).rglob(pattern.removeprefix("*/")))
