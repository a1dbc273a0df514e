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

PUBLIC = [
    *(f"fftp_tag.{name}" for name in fftp_tag.__all__),
    "fftp_tag.AudioTagger.tag_file",
    "fftp_tag.tag.live.stream_events",
    "speechbrain_fftp.augment.mixup.Mixup",
    "speechbrain_fftp.augment.specmask.SpecMask",
    "speechbrain_fftp.inference.tagging.AudioTagger",
    "speechbrain_fftp.lobes.features.KaldiFbank",
    "speechbrain_fftp.lobes.frame_classifier.FrameClassifier",
    "speechbrain_fftp.lobes.models.AST.AST",
    "speechbrain_fftp.lobes.models.AuM.AuM",
    "speechbrain_fftp.lobes.models.ConvNeXt1d.ConvNeXt1d",
    "speechbrain_fftp.lobes.tagger.Tagger",
    "speechbrain_fftp.nnet.patching.FFTPEmbedding",
    "speechbrain_fftp.nnet.patching.SquarePatchEmbedding",
    "speechbrain_fftp.nnet.schedulers.LinearWarmupCosine",
    "speechbrain_fftp.nnet.selective_scan.selective_scan",
    "speechbrain_fftp.pretrained.load_ast",
    "speechbrain_fftp.pretrained.load_aum",
    "speechbrain_fftp.pretrained.square_to_fftp",
    "speechbrain_fftp.utils.complexity.count_macs",
]


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


def test_pages_load_nothing_from_other_hosts(site):
    front = (site / "index.html").read_text("utf-8")
    assert 'href="docs/tagging.html"' in front
    tag = re.compile(
        r"<(?:script|link|img)\b[^>]*(?:src|href)=\"(?:https?:)?//"
    )
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        assert not tag.search(page.read_text("utf-8")), page


def test_api_page_has_the_public_names(site):
    text = (site / "docs" / "api.html").read_text("utf-8")
    missing = [name for name in PUBLIC if f'id="{name}"' not in text]
    assert missing == []
    # Sections of docstrings are parsed
    assert "Arguments</" not in text
    assert "Example</" not in text
    # Grouped arguments: those of AST and ConvNeXt1d are 0.0, others are not
    entry = r"<b><code>dropout</code></b>.*?default:\s*<code>(.*?)</code>"
    assert set(re.findall(entry, text, re.S)) == {"0.0"}
