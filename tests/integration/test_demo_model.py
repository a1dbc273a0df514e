"""Tests of the model that ``make demo`` trains.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import show_demo
from demo_prepare import prepare_demo
from recipe_runs import ROOT

from fftp_tag import AudioTagger


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The output folder of ``make demo``."""
    folder = tmp_path_factory.mktemp("demo")
    script = ROOT / "recipes" / "AudioSet" / "train_strong.py"
    prepare_demo(folder / "prepared")
    subprocess.run(
        [sys.executable, script, ROOT / "hparams" / "demo.yaml"]
        + ["--output_folder", folder]
        + ["--prepared_folder", folder / "prepared"],
        check=True,
    )
    return folder


@pytest.mark.slow
def test_the_demo_knows_its_sounds_and_silence(demo):
    metrics = json.loads((demo / "metrics.json").read_text("utf-8"))
    assert metrics["mAP"] > 0.95
    tagger = AudioTagger.from_pretrained(demo)
    for seconds in (1, 10, 25):
        silence = np.zeros(seconds * 16000, np.float32)
        assert tagger.tag_file(silence, 16000) == []
        assert tagger.tag_file(silence, 16000, threshold=0.1) == []
        assert tagger.tag_long(silence, 16000) == []


@pytest.mark.slow
def test_what_the_demo_shows_is_right(demo, capsys):
    """Eight of ten events are found, and one at most is not there."""
    pytest.importorskip("matplotlib")
    show_demo.main(str(demo))
    printed = capsys.readouterr().out
    rows = re.findall(r"^  \w.*(\d|missed)$", printed, re.MULTILINE)
    found = re.search(r"(\d+) of 10 are found, and (\d+) others", printed)
    right, invented = map(int, found.groups())
    assert len(rows) == 10 + invented
    assert right >= 8 and invented <= 1
