"""Tests that the docstrings of what goes to SpeechBrain have its sections.

SpeechBrain's own check demands them; ``tools/upstream.py`` exports the files.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import inspect
from pathlib import Path

import pytest
from upstream_parts import PARTS

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path
    for paths in PARTS.values()
    for path in paths
    if path.startswith("speechbrain_fftp/")
)


def public_functions(tree):
    """Public classes and functions, methods included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            if not node.name.startswith("_"):
                yield node
                if isinstance(node, ast.ClassDef):
                    yield from public_functions(node)


def needs_arguments(node):
    """Whether a function has arguments besides itself."""
    if not isinstance(node, ast.FunctionDef):
        return False
    args = [*node.args.args, *node.args.kwonlyargs]
    is_property = any(
        isinstance(each, ast.Name) and each.id == "property"
        for each in node.decorator_list
    )
    return not is_property and any(
        arg.arg not in ("self", "cls") for arg in args
    )


@pytest.mark.parametrize("path", MODULES)
def test_public_names_have_full_docstrings(path):
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert inspect.cleandoc(ast.get_docstring(tree)).endswith("authors 2026")
    if "_backend.py" in path or "triton" in path:  # called by one function
        return
    for node in public_functions(tree):
        doc = ast.get_docstring(node) or ""
        assert doc, node.name
        if needs_arguments(node):
            assert "Arguments\n---------" in doc, node.name
    for node in tree.body:
        is_public = not getattr(node, "name", "_").startswith("_")
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and is_public:
            doc = ast.get_docstring(node)
            assert "Example\n-------" in doc, node.name
