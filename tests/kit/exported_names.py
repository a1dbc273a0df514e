"""What the files that go to SpeechBrain import there.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import re

from upstream import rename
from upstream_parts import ROOT


def imported(path):
    """The names in SpeechBrain that an exported file imports or builds."""
    text = rename((ROOT / path).read_text("utf-8"))
    if path.endswith(".yaml"):
        return re.findall(r"!(?:new|name|apply):(speechbrain\.[\w.]+)", text)
    if not path.endswith(".py"):
        return []
    return [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
        and node.module.startswith("speechbrain.")
        for alias in node.names
    ]
