"""Smoke test of the docstrings of what goes to SpeechBrain.

SpeechBrain's own check demands their sections; it runs on the export.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
from pathlib import Path

import pytest
from upstream_parts import PARTS

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path
    for paths in PARTS.values()
    for path in paths
    if path.startswith("speechbrain_fftp/")
    and not any(word in path for word in ("backend", "triton", "dataio"))
)


@pytest.mark.parametrize("path", MODULES)
def test_public_names_have_an_example(path):
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            docstring = ast.get_docstring(node) or ""
            is_public = not node.name.startswith("_")
            assert "Example\n-------" in docstring or not is_public, node.name
