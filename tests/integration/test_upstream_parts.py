"""Tests of the series of pull requests in which this project goes upstream.

Authors
 * The speechbrain_fftp authors 2026
"""

import ast
import re
from pathlib import Path

import pytest
import upstream
from test_upstream import make_checkout, read
from upstream_parts import PARTS

import speechbrain

INSTALLED = Path(speechbrain.__file__).parents[1]


def make_series(folder):
    """A checkout, and what it holds before the first part and after each."""
    contents = [read(make_checkout(folder))]
    for part in PARTS:
        upstream.export(folder, part)
        contents.append(read(folder))
    return folder, contents


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    return make_series(tmp_path_factory.mktemp("series") / "checkout")


def used(path, text):
    """What a file of SpeechBrain uses of its modules: module and name."""
    if path.endswith(".yaml"):
        names = re.findall(r"!\w+:(speechbrain\.[\w.]+)\.(\w+)", text)
        assert names
        yield from names
    if path.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                yield from ((node.module, alias.name) for alias in node.names)


def missing(contents, part):
    """What files of a part use, but neither it nor what is before it brings."""
    before, after = contents[list(PARTS).index(part) :][:2]
    found = []
    for path in set(after) - set(before):
        for module, name in used(path, after[path].decode()):
            if module.split(".")[0] != "speechbrain":
                continue
            place = module.replace(".", "/")
            texts = [
                after.get(file) or (INSTALLED / file).read_bytes()
                for file in (f"{place}.py", f"{place}/__init__.py")
                if file in after or (INSTALLED / file).is_file()
            ]
            modules = (f"{place}/{name}.py", f"{place}/{name}/__init__.py")
            if not (
                any(re.search(rf"\b{name}\b", x.decode()) for x in texts)
                or any(x in after for x in modules)
                or any((INSTALLED / x).is_file() for x in modules)
            ):
                found.append(f"{path}: {module}.{name}")
    return found


@pytest.mark.parametrize("part", PARTS)
def test_a_part_stands_on_those_before_it(series, part):
    assert missing(series[1], part) == []


def test_a_part_without_one_of_its_modules_is_noticed(tmp_path, monkeypatch):
    left_out = "speechbrain_fftp/nnet/tokens.py"
    kept = tuple(path for path in PARTS["fftp"] if path != left_out)
    monkeypatch.setitem(PARTS, "fftp", kept)
    _, contents = make_series(tmp_path / "checkout")
    found = missing(contents, "fftp")
    encoder = "speechbrain/lobes/models/AST.py: speechbrain.nnet.tokens"
    assert (
        f"{encoder}.pool_tokens" in found
        and f"{encoder}.TokenConvolution" in found
    )


@pytest.mark.parametrize("part", PARTS)
def test_figures_hold_and_are_those_of_the_text(series, part):
    before, after = series[1][list(PARTS).index(part) :][:2]
    changed = {path for path in after if after[path] != before.get(path)}
    lines = sum(after[path].count(b"\n") for path in changed)
    lines -= sum(before.get(path, b"").count(b"\n") for path in changed)
    # SpeechBrain has these lists of recipes, and so the line of their columns
    lists = {x for x in changed - set(before) if x.startswith("tests/recipes/")}
    lines -= len(lists)
    new = len(changed - set(before) - lists)
    most = (15, 2_600) if part == "fftp" else (24, 4_700)
    assert len(changed) <= most[0] and lines <= most[1]
    text = (series[0].parent / f"PR-{part}.md").read_text("utf-8")
    figures = f"{new} new files, {len(changed) - new} changed, {lines:,} new"
    assert figures in text
    assert all(f"| `{path}`" in text for path in changed)
    contributing = (upstream.ROOT / "CONTRIBUTING.md").read_text("utf-8")
    stated = re.search(rf"\| `{part}` \| (\d+) \| (\S+) \|", contributing)
    assert int(stated[1]) == len(changed)
    assert abs(int(stated[2].replace(",", "")) - lines) < 150


@pytest.mark.parametrize("part", PARTS)
def test_the_text_has_its_tables(series, part):
    text = (series[0].parent / f"PR-{part}.md").read_text("utf-8")
    assert re.match(r"# Add .+\n\n## What does this PR do\?\n", text)
    assert "\n## Measured results\n" in text
    assert "\n## How was it tested?\n" in text
    assert "<!--" not in text
    path, row = {
        "fftp": ("docs/evidence.md", "FFTP 10/5 AuM"),
        "aum": ("benchmarks/results/selective_scan.md", "B=4, D=384"),
        "audioset": ("docs/evidence.md", "FFTP 10/10, SpecMask of 20 %"),
        "inference": ("benchmarks/results/tagging.md", "tag_file"),
        "convnext": ("docs/evidence.md", "FFTP 11/2 ConvNeXt1d"),
    }[part]
    source = (upstream.ROOT / path).read_text("utf-8")
    assert f"`{path}` of the plugin" in " ".join(text.split())
    assert re.search(rf"\| {row}.*", source).group() in text


@pytest.mark.parametrize("part", PARTS)
def test_a_second_export_of_a_part_changes_nothing(
    series, part, capsys, monkeypatch
):
    monkeypatch.chdir(series[0])
    path = series[0].parent / f"PR-{part}.md"
    before, text = read(series[0]), path.read_text("utf-8")
    path.unlink()
    assert upstream.main([".", "--part", part]) == 0
    printed = capsys.readouterr().out
    assert printed == f"0 files written\n\n{path}:\n\n{text}\n"
    assert path.read_text("utf-8") == text
    assert read(series[0]) == before


def test_the_whole_export_is_the_union_of_the_parts(series, tmp_path):
    folder = make_checkout(tmp_path / "checkout")
    upstream.export(folder)
    assert read(folder) == series[1][-1]
    paths = [path for part in PARTS.values() for path in part]
    assert len(paths) == len(set(paths))
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def test_a_part_needs_those_before_it(tmp_path, capsys):
    folder = make_checkout(tmp_path / "checkout")
    before = read(folder)
    assert upstream.main([str(folder), "--part", "aum"]) == 1
    assert "lacks the part fftp, on which aum st" in capsys.readouterr().err
    assert read(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def test_parts_that_do_not_exist_are_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        upstream.main([str(tmp_path), "--part", "teachers"])
    error = capsys.readouterr().err
    assert "'teachers'" in error and all(part in error for part in PARTS)
