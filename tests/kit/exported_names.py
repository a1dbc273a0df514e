"""What the files that go to SpeechBrain import there.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import re

from upstream import rename
from upstream_parts import ROOT


def imported(path):
    """The names in SpeechBrain that an exported file imports or builds.

    Of a text, or of what a patch adds to one, those in its Python blocks.
    """
    text = rename((ROOT / path).read_text("utf-8"))
    if path.endswith(".yaml"):
        return re.findall(r"!(?:new|name|apply):(speechbrain\.[\w.]+)", text)
    code = text if path.endswith(".py") else ""
    if path.endswith((".md", ".patch")):
        text = re.sub(r"(?m)^\+", "", text)
        code = "".join(re.findall(r"(?ms)^```python\n(.*?)^```$", text))
    return [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom)
        and node.module.startswith("speechbrain.")
        for alias in node.names
    ]
