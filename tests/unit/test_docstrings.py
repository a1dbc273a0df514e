"""Tests that the docstrings agree with the signatures.

Where docstrings take SpeechBrain's full form, they hold the types of the
arguments and are the reference for users. Elsewhere one line is enough, but the
sections that exist must agree with the signature.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import re
from pathlib import Path

import pytest
from upstream_parts import PARTS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("speechbrain_fftp", "tools", "benchmarks", "recipes")
SOURCES = [
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
]
# The modules that go to SpeechBrain, whose docstrings take the full form.
EXPORTED = {path for part in PARTS.values() for path in part}
EXPORTED = sorted(EXPORTED.intersection(SOURCES))
TITLES = "Arguments|Returns|Yields|Raises|Example"


def public(nodes, prefix=""):
    """Names and nodes of public functions, classes and their methods."""
    for node in nodes:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            continue
        # What runs on a GPU is no function that a user could call.
        kernel = "triton.jit" in "".join(map(ast.unparse, node.decorator_list))
        if kernel or re.match("_(?!_call__)", node.name):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, node.name + ".")


def statements(function):
    """What a function does itself, not what functions within it do."""
    nodes = list(function.body)
    while nodes:
        node = nodes.pop()
        yield node
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.Lambda)):
            nodes += ast.iter_child_nodes(node)


def parameters(function):
    """Names in the order of the signature, each with its default's source."""
    args = function.args
    first = args.posonlyargs + args.args
    none = [None] * (len(first) - len(args.defaults))
    found = list(zip([arg.arg for arg in first], none + args.defaults))
    found += [(f"*{args.vararg.arg}", None)] if args.vararg else []
    found += zip([arg.arg for arg in args.kwonlyargs], args.kw_defaults)
    return found + ([(f"**{args.kwarg.arg}", None)] if args.kwarg else [])


def outcome(function):
    """Titles of the sections that say what a function gives."""
    titles = {ast.Return: "Returns", ast.Yield: "Yields"}
    given = {
        titles.get(type(node), "Yields")
        for node in statements(function)
        if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom))
        and node.value is not None
        and ast.unparse(node.value) != "None"
    }
    return given - {"Returns"} if "Yields" in given else given


def raised(function):
    """Classes of the exceptions made here, without those in a ``try``."""
    nodes = list(statements(function))
    caught = {
        node
        for block in nodes
        if isinstance(block, ast.Try) and block.handlers
        for statement in block.body
        for node in ast.walk(statement)
    }
    return {
        ast.unparse(node.exc.func)
        for node in nodes
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and node not in caught
    }


def entries(text):
    """Names and types of a section, in order; several may share a type."""
    found = []
    for line in re.findall(r"(?m)^\S.*", text):
        names, _, kind = line.partition(" : ")
        found += [(name, kind) for name in names.split(", ")]
    return found


def fits(kind, default):
    """Whether a type in words admits the default; a name's value is unknown."""
    try:
        name = type(ast.literal_eval(default)).__name__
    except ValueError:
        return True
    words = {
        "NoneType": "optional|None",
        "int": "int|float",
        "tuple": "tuple|sequence",
    }
    return re.search(rf"\b({words.get(name, name)})\b", kind) is not None


def faults(name, node, full=True):
    """Faults of a docstring, without absent sections unless it is ``full``."""
    docstring = ast.get_docstring(node)
    if not docstring:
        return ["no docstring"]
    parts = re.split(rf"(?m)^({TITLES})\n-+$", docstring)
    sections = dict(zip(parts[1::2], parts[2::2]))
    wrong = []
    # SpeechBrain's own check skips lines with "...".
    if "..." in docstring.splitlines()[0]:
        wrong.append("'...' in the first line")
    decorators = [ast.unparse(x) for x in getattr(node, "decorator_list", [])]
    function = node
    if isinstance(node, ast.ClassDef):
        inits = [x for x in node.body if getattr(x, "name", 0) == "__init__"]
        function = inits[0] if inits else None
    elif "property" not in decorators:
        expected = outcome(node)
        found = {"Returns", "Yields"} & set(sections)
        if found != expected and (full or found):
            wrong.append(f"gives {expected or 'nothing'}")
    if function is not None:
        expected = parameters(function)
        if "." in name or function is not node:
            expected = expected["staticmethod" not in decorators :]
        found = entries(sections.get("Arguments", ""))
        if not full and "Arguments" not in sections:
            expected = []
        if [x for x, _ in found] != [x for x, _ in expected]:
            wrong.append(f"{found} are not {[x for x, _ in expected]}")
        for (argument, kind), (_, default) in zip(found, expected):
            if not kind or default is not None and not fits(kind, default):
                wrong.append(f"type of {argument}: {kind!r}")
        documented = {x for x, _ in entries(sections.get("Raises", ""))}
        if raised(function) - documented and (full or documented):
            wrong.append(f"raises {raised(function) - documented}")
    if full and "." not in name and "Example" not in sections:
        wrong.append("no example")
    return wrong


@pytest.mark.parametrize("path", SOURCES)
def test_docstrings_agree_with_signatures(path):
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    package = path.startswith("speechbrain_fftp/")
    full = package and path in EXPORTED
    wrong = {name: faults(name, node, full) for name, node in public(tree.body)}
    assert not {name: found for name, found in wrong.items() if found}


@pytest.mark.parametrize("path", EXPORTED)
def test_functions_within_functions_too(path):
    """SpeechBrain's own check finds those of the modules that go there."""
    functions = [
        node
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    lacking = [node.name for node in functions if not ast.get_docstring(node)]
    assert not lacking


CORRECT = '''
class Scale:
    """Multiplies.

    Arguments
    ---------
    factor : float
        By how much.
    names : list of str, optional
        Of what.

    Raises
    ------
    ValueError
        If it is negative.

    Example
    -------
    >>> Scale(3.0)(2)
    6.0
    """

    def __init__(self, factor=2.0, *, names=None):
        if factor < 0:
            raise ValueError("negative")

    def __call__(self, x, *rest):
        """Multiplies one.

        Arguments
        ---------
        x : float
            What to multiply.
        *rest : tuple
            Not used.

        Returns
        -------
        float
            The product.
        """
        return x * self.factor
'''


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("", "", None),
        ("x, *rest):", "*rest):", "are not ['*rest']"),
        ("x, *rest):", "x, *rest, key):", "'key']"),
        ("factor : float", "factors : float", "are not ['factor', 'names']"),
        ("factor : float", "factor", "type of factor: ''"),
        ("factor : float", "factor : str", "type of factor: 'str'"),
        ("str, optional", "str", "type of names: 'list of str'"),
        ("ValueError\n", "KeyError\n", "raises {'ValueError'}"),
        ("return x", "yield x", "gives {'Yields'}"),
        ("return x", "print(x)", "gives nothing"),
        ("Returns\n", "Result\n", "gives {'Returns'}"),
        ("Example\n", "Examples\n", "no example"),
        ('"""Multiplies one', '_ = """', "no docstring"),
        ("Multiplies one", "Multiplies [..., S]", "'...' in the first"),
    ],
)
def test_faults_are_found(old, new, message):
    tree = ast.parse(CORRECT.replace(old, new))
    wrong = [fault for item in public(tree.body) for fault in faults(*item)]
    if message is None:
        assert not wrong
    else:
        assert message in " ".join(wrong)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("", "", None),
        ("Raises", None, None),
        ("Returns", None, None),
        ("Arguments", None, None),
        ("Example", None, None),
        ("factor : float", "factors : float", "are not ['factor', 'names']"),
        ("str, optional", "str", "type of names: 'list of str'"),
        ("ValueError\n", "KeyError\n", "raises {'ValueError'}"),
        ("return x", "print(x)", "gives nothing"),
        ('"""Multiplies one', '_ = """', "no docstring"),
    ],
)
def test_short_docstrings_may_omit_sections(old, new, message):
    if new is None:
        pattern = rf"(?m)^( *){old}\n *-+\n(\1(?!\").+\n)+"
        assert re.search(pattern, CORRECT)
        tree = ast.parse(re.sub(pattern, "", CORRECT))
    else:
        tree = ast.parse(CORRECT.replace(old, new))
    wrong = [x for item in public(tree.body) for x in faults(*item, full=False)]
    if message is None:
        assert not wrong
    else:
        assert message in " ".join(wrong)


@pytest.mark.parametrize("path", SOURCES)
def test_docstrings_of_modules_keep_their_line_breaks(path):
    """``--help`` prints them: a backslash must not join two lines."""
    text = (ROOT / path).read_text("utf-8")
    docstring = ast.get_source_segment(text, ast.parse(text).body[0])
    assert docstring.startswith('r"') or "\\" not in docstring
