"""Tests of the AudioSet recipe with frame-level predictions.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import numpy as np
from recipe_runs import train

from fftp_tag import AudioTagger


def test_a_frame_level_model_tells_what_sounds_when(data_folder, tmp_path):
    # Each sound lasts for the first half of its clip
    lines = ["filename\tonset\toffset\tevent_label"]
    for path in (data_folder / "audio").iterdir():
        lines.append(f"{path.stem}\t0.0\t5.0\tAlpha")
    strong_labels = tmp_path / "strong.tsv"
    strong_labels.write_text("\n".join(lines), "utf-8")
    output, metrics = train(
        tmp_path / "run",
        recipe="AudioSet/train_strong.py",
        hparams="ast_fftp_frames.yaml",
        data_folder=data_folder,
        strong_labels=strong_labels,
        stride_frames=25,
        mixup_prob=0.5,
        export=True,
    )
    assert re.search(r"events in (\d+) of \1 clips", output)
    assert 0 < metrics["mAP"] <= 1
    clip = str(path)
    tagger = AudioTagger.from_pretrained(tmp_path / "run")
    times, probs = tagger.frame_probabilities(clip)
    assert probs.shape == (len(times), 3)
    np.testing.assert_allclose(np.diff(times), 0.25, atol=1e-4)
    best = tagger.tag_file(clip, top_k=3, threshold=0.0)[0]
    # The clip's probability is between the frame-level ones
    frames = probs[:, tagger.labels.index(best.label)]
    assert 0 < frames.mean() <= best.probability <= frames.max() < 1
