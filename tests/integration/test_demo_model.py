"""Tests of the model that ``make demo`` trains.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from demo_prepare import prepare_demo
from recipe_runs import ROOT

from fftp_tag import AudioTagger


@pytest.mark.slow
def test_the_demo_knows_its_sounds_and_silence(tmp_path):
    folder = tmp_path / "demo"
    script = ROOT / "recipes" / "AudioSet" / "train.py"
    prepare_demo(folder / "prepared")
    subprocess.run(
        [sys.executable, script, ROOT / "hparams" / "demo.yaml"]
        + ["--output_folder", folder]
        + ["--prepared_folder", folder / "prepared"],
        check=True,
    )
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert metrics["mAP"] > 0.9
    tagger = AudioTagger.from_pretrained(folder / "inference")
    for seconds in (1, 10, 25):
        silence = np.zeros(seconds * 16000, np.float32)
        assert tagger.tag_file(silence, 16000) == []
        assert tagger.tag_file(silence, 16000, threshold=0.1) == []
        assert tagger.tag_long(silence, 16000) == []
