"""Tests that the site can be built, and that its API page is complete.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
from recipe_runs import ROOT

import fftp_tag


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, which is built without a warning."""
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        pytest.skip("the extra docs (mkdocs and mkdocstrings) is missing")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(
        [*command, "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_api_page_has_the_public_names(site):
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    documented = re.findall(r"^::: (\S+)", page, re.M)
    assert set(fftp_tag.__all__) <= {x.rpartition(".")[2] for x in documented}
    text = (site / "docs" / "api.html").read_text("utf-8")
    for name in documented:
        assert f'id="{name}"' in text
    assert "Arguments</" not in text and "Example</" not in text
