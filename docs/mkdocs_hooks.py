"""Hooks of mkdocs.yml: the files of the site, and sections of docstrings.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
from pathlib import Path

import griffe
from mkdocs.structure.files import File, Files

# Pages, pictures, and source files that pages may link to
PATTERNS = (
    "README.md",
    "fftp_tag/README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/*.png",
    "docs/*.css",
    "recipes/*/README.md",
    "tools/README.md",
    "studies/*.md",
    "studies/results/**/*.md",
    "studies/results/*.png",
    "studies/plans/*.yaml",
    "fftp_tag/**/*.py",
    "speechbrain_fftp/**/*.py",
)


def on_files(files, config):
    """Gives files the places that they have in the repository.

    So README.md is the front page, and a link is right in both.
    """
    root = Path(config.config_file_path).parent
    theme = [file for file in files if file.src_dir != config.docs_dir]
    ours = [
        File.generated(
            config,
            path.relative_to(root).as_posix(),
            abs_src_path=str(path),
        )
        for pattern in PATTERNS
        for path in sorted(root.glob(pattern))
    ]
    return Files(theme + ours)


def on_page_markdown(markdown, **kwargs):
    """Keeps two intervals in a row, [1, 2] [3, 4], from becoming a link."""
    return re.sub(r"\] \[(?=-?\d)", "]&#32;[", markdown)


class SpeechBrainDocstrings(griffe.Extension):
    """Turns SpeechBrain's docstrings into NumPy's, as far as griffe needs it."""

    def on_object(self, *, obj, **kwargs):
        """Edits the docstring of a module, class or function."""
        if obj.docstring is not None:
            obj.docstring.value = to_numpy(obj.docstring.value)


def to_numpy(text):
    """Renames sections, and gives each argument an entry of its own.

    griffe gives the names of ``a, b : int`` the same default.
    """
    text = re.sub("^Arguments\n-+$", "Parameters\n---", text, flags=re.M)
    text = re.sub("^Example\n-+$", "Examples\n---", text, flags=re.M)
    entry = re.compile(r"^(\w+), (\w.*)( : .*\n(?:    .*\n)*)", re.M)
    text += "\n"
    while entry.search(text):
        text = entry.sub(r"\1\3\2\3", text)
    return text
