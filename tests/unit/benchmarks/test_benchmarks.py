"""Tests of the pages of the benchmarks.

Authors
 * The speechbrain_fftp authors 2026
"""

import re


def test_page_has_the_stored_results():
    """And README no others."""
    import performance_table

    text = performance_table.PAGE.read_text("utf-8")
    assert performance_table.replace_tables(text) == text
    readme = performance_table.PAGE.parents[1] / "README.md"
    section = readme.read_text("utf-8").partition("## Speed\n")[2]
    section = section.partition("\n## ")[0]
    figures = re.findall(r"[\d.]+(?=x| s\b)", section)
    numbers = re.findall(r"\d+\.?\d*", text.replace(",", ""))
    assert figures
    for figure in figures:
        digits = len(figure.partition(".")[2])
        assert float(figure) in {round(float(x), digits) for x in numbers}
