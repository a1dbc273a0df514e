"""Finds what is wrong in a Markdown file: links, names, commands.

In the Markdown files, a fenced block without a language or with ``bash`` holds
commands, as they run from the project's root; another one gives its language
(``text`` if it has none).

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import configparser
import contextlib
import functools
import io
import itertools
import pkgutil
import re
import shlex
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse

import yaml
from torch.distributed.run import get_args_parser

from speechbrain.utils.run_opts import RunOptions

ROOT = Path(__file__).resolve().parents[2]
HPARAMS = [
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "hparams").rglob("*.yaml"))
]
FILE = r"\.?[\w-][\w./-]*\.(?:cfg|csv|json|md|png|py|sh|toml|txt|yaml)"
# Commands whose options are not checked.
TOOLS = "codespell ffmpeg git grep pip pytest ruff sounddevice source tensorboard venv xargs".split()


def blocks(text):
    """Language and content of each fenced block."""
    return re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", text)


def split_prose(text):
    """What is outside fenced blocks: inline code, and text without it."""
    prose = re.sub(r"(?ms)^```.*?^```$", "", text)
    spans = re.findall(r"`([^`]+)`", prose)
    spans = [" ".join(span.split()) for span in spans]
    return spans, re.sub(
        r"`[^`]+`", lambda m: re.sub(r"[^\w-]", "", m[0]), prose
    )


def project_files():
    """Files and folders, without those that git ignores, where there is git."""
    if (ROOT / ".git").exists():
        which = ["--cached", "--others", "--exclude-standard"]
        listed = subprocess.check_output(["git", "ls-files", *which], cwd=ROOT)
        files = [Path(name) for name in listed.decode().splitlines()]
        files = [path for path in files if (ROOT / path).exists()]
    else:
        files = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
    folders = {folder for path in files for folder in path.parents}
    return {path.as_posix() for path in [*files, *folders]}


def anchors(text):
    """What GitHub makes of the headings, to link to them."""
    headings = re.findall(r"(?m)^#+ (.*)", split_prose(text)[1])
    return [
        re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings
    ]


def check_link(document, target, files):
    """Says what is wrong with a link of a document, or nothing."""
    url = urlparse(target)
    if url.scheme or url.netloc:
        if url.scheme in ("http", "https") and "." in url.netloc:
            return None
        return f"{target} is no address"
    path = document
    if url.path:
        folder = (ROOT / document).parent
        path = (folder / url.path).resolve()
        if ROOT not in [path, *path.parents]:
            return f"{target} lies outside the project"
        path = path.relative_to(ROOT).as_posix()
    if path not in files:
        return f"{target} is no file of the project"
    if url.fragment:
        if url.fragment not in anchors((ROOT / path).read_text("utf-8")):
            return f"{target} names no heading"
    return None


def commands(code):
    """The words of each command of a block, up to one that changes folder."""
    text = ""
    for line in code.replace("\\\n", " ").splitlines():
        text += line + "\n"
        try:
            words = shlex.split(text, comments=True)
        except ValueError:
            continue  # a quotation goes on in the next line
        text = ""
        parts = itertools.groupby(words, lambda word: word in ("&&", "|"))
        for separator, part in parts:
            if separator:
                continue
            words = list(itertools.dropwhile(re.compile(r"\w+=").match, part))
            if words[:1] == ["cd"]:
                return
            yield words
    if text:
        yield [text]


def console_scripts():
    """The modules of setup.cfg's console scripts, by the scripts' names."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    scripts = config["options.entry_points"]["console_scripts"]
    return dict(re.findall(r"(\S+) = (\S+):\w+", scripts))


def check_recipe(words):
    """Says what is wrong with the arguments of a recipe's script.

    They are read as recipes read them. Capital words stand for a value.
    """
    words = ["1" if word.isupper() else word for word in words if word != "..."]
    if not words:
        return None
    if words[0] not in HPARAMS:
        return f"{words[0]} is no hparams file"
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            _, _, overrides = RunOptions.from_command_line_args(words)
    except SystemExit:
        return errors.getvalue().splitlines()[-1]
    text = (ROOT / words[0]).read_text("utf-8")
    keys = re.findall(r"(?m)^(\w+):", text)
    values = yaml.safe_load(overrides) or {}
    if not isinstance(values, dict):
        return f"{values} stands alone"
    for key, value in values.items():
        if key not in keys:
            return f"--{key} is no key of {words[0]}"
        if value is None:
            return f"--{key} has no value"
    return None


def check_options(source, words):
    """Says which option the argparse parser of a source file lacks."""
    # The options of a command with verbs are in the modules of its folder
    several = source.parent.name == "cli"
    sources = source.parent.glob("*.py") if several else [source]
    text = "".join(path.read_text("utf-8") for path in sources)
    known = re.findall(r'\badd(?:_argument)?\(\s*"(-[\w-]+)"', text) + [
        "--help"
    ]
    options = [word.split("=")[0] for word in words if word.startswith("-")]
    unknown = [option for option in options if option not in known]
    if not unknown:
        return None
    if "parse_known_args" in text:  # the others are the recipe's
        hparams = [word for word in words if word in HPARAMS] or HPARAMS
        start = [word.split("=")[0] for word in words].index(unknown[0])
        return check_recipe([hparams[0], *words[start:]])
    return f"{source.name} has no {unknown[0]}"


def check_python(words):
    """Says what is wrong with the arguments of the Python interpreter."""
    if words[:1] == ["-c"]:
        ast.parse(words[1])
        return None
    if words[:1] == ["-m"]:
        if words[1].split(".")[0] != "speechbrain_fftp":
            return check_command(words[1:])
        spec = find_spec(words[1])
        if spec is None:
            return f"there is no module {words[1]}"
        return check_options(Path(spec.origin), words[2:])
    if not words or not words[0].endswith(".py"):
        return "python runs no script"
    source = ROOT / words[0]
    if not source.is_file():
        return f"{words[0]} is missing"
    if "parse_arguments" in source.read_text("utf-8"):
        return check_recipe(words[1:])
    return check_options(source, words[1:])


def check_make(words):
    """Says which target or variable the Makefile lacks."""
    text = (ROOT / "Makefile").read_text("utf-8")
    for word in words:
        variable, is_variable, _ = word.partition("=")
        pattern = rf"\$\({variable}\)" if is_variable else rf"(?m)^{word}:"
        if not re.search(pattern, text):
            return f"the Makefile has no {variable}"
    return None


def check_torchrun(words):
    """Says what is wrong with the arguments of torchrun."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            args = get_args_parser().parse_args(words)
    except SystemExit:
        return errors.getvalue().splitlines()[-1]
    return check_python([args.training_script, *args.training_script_args])


def check_command(words):
    """Says what is wrong with a command, or nothing."""
    name, *words = words
    name = name.replace(".venv/bin/", "")
    for word in words:
        if re.fullmatch(FILE, word) and not (ROOT / word).exists():
            return f"{word} is missing"
    scripts = console_scripts()
    if name in scripts:
        return check_options(Path(find_spec(scripts[name]).origin), words)
    if name in TOOLS or name.startswith("../"):
        return None
    checks = {
        "make": check_make,
        "python": check_python,
        "python3": check_python,
        "torchrun": check_torchrun,
        "torch.distributed.run": check_torchrun,
    }
    if name in checks:
        return checks[name](words)
    return f"{name} is no command known here"


def check_option_names(words):
    """Says what is wrong with options that stand without their command."""
    variants = [words] if len(words) > 1 else [words, [*words, "1"]]
    checks = [
        functools.partial(check_options, Path(find_spec(module).origin), words)
        for module in console_scripts().values()
    ]
    for script in ROOT.glob("recipes/*/*_prepare.py"):
        checks.append(functools.partial(check_options, script, words))
    for path in HPARAMS:
        for variant in variants:
            checks.append(functools.partial(check_recipe, [path, *variant]))
    for check in checks:
        if (error := check()) is None:
            return None
    return f"{words[0]}: {error}"


def check_span(span, files):
    """Says what is wrong with inline code, or nothing."""
    if re.match(r"(python|make|torchrun|fftp-tag) ", span):
        return check_command(shlex.split(span))
    if span.startswith("--"):
        return check_option_names(span.split())
    if re.fullmatch(FILE, span) and span.split("/")[0] in files:
        return None if span in files else f"{span} is missing"
    dotted = re.match(r"(?:speechbrain_fftp\.)?(\w+)(\.\w+)+(?=\(|$)", span)
    if dotted and (ROOT / "speechbrain_fftp" / dotted[1]).is_dir():
        name = dotted.group().replace("speechbrain_fftp.", "")
        try:
            pkgutil.resolve_name(f"speechbrain_fftp.{name}")
        except (AttributeError, ImportError) as error:
            return f"{span}: {error}"
    return None


def problems(document, text):
    """What is wrong in a Markdown file at a path of the project."""
    files = project_files()
    spans, prose = split_prose(text)
    targets = re.findall(r"\]\(([^()\s]+)\)|(?m:^\[[^\]]+\]: (\S+))", prose)
    found = [check_link(document, a or b, files) for a, b in targets]
    found += [check_span(span, files) for span in spans]
    if text.count("```") != 2 * len(blocks(text)):
        found.append("a fence is indented or not closed")
    for language, code in blocks(text):
        if language in ("", "bash", "sh"):
            found += [check_command(words) for words in commands(code) if words]
    return [problem for problem in found if problem]
