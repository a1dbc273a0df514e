"""Tests of the study of sound events, on a handful of generated clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile
import yaml
from study_runs import BENCHMARKS, run_study

pytestmark = pytest.mark.slow

PITCHES = {"/m/a": 400.0, "/m/b": 1600.0}
SIZES = {"train": 12, "valid": 4, "eval": 5}
SEGMENTS = {"train": "balanced_train", "valid": "valid", "eval": "eval"}
TINY = {
    "batch_size": 4,
    "lr": 0.003,
    "mixup_prob": 0.0,
    "mask_budget": 0.0,
    "n_classes": 2,
    "embed_dim": 32,
    "depth": 1,
    "num_heads": 1,
    "patch_frames": 16,
    "stride_frames": 16,
    "strong_labels": "strong_train.tsv",
}


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """The study, and its runs and rows by label."""
    folder = tmp_path_factory.mktemp("study")
    data, rng = folder / "data", np.random.default_rng(0)
    (data / "audio").mkdir(parents=True)
    classes = ["index,mid,display_name", "0,/m/a,Hum", "1,/m/b,Beep"]
    (data / "class_labels_indices.csv").write_text("\n".join(classes) + "\n")
    for split, size in SIZES.items():
        lines = ["# YTID, start_seconds, end_seconds, positive_labels"]
        strong = ["segment_id\tstart_time_seconds\tend_time_seconds\tlabel"]
        for number in range(size):
            clip = f"{split}{number:06}"
            wav = 0.01 * rng.standard_normal(2 * 16000)
            for mid, pitch in PITCHES.items():
                time = int(16000 * rng.uniform(0, 1)) + np.arange(12000)
                wav[time] += 0.3 * np.sin(2 * np.pi * pitch * time / 16000)
                a, b = time[0] / 16000, time[-1] / 16000
                strong.append(f"{clip}\t{a}\t{b}\t{mid}")
            soundfile.write(data / "audio" / f"{clip}.flac", wav, 16000)
            lines.append(f'{clip}, 0.0, 2.0, "/m/a,/m/b"')
        # A clip without one of the classes, so that mAP is defined
        lines[-1] = lines[-1].replace("/m/a,", "")
        path = data / f"{SEGMENTS[split]}_segments.csv"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        path = data / f"strong_{split}.tsv"
        path.write_text("\n".join(strong) + "\n", "utf-8")
    whole = yaml.safe_load(
        (BENCHMARKS / "study" / "sound_events.yaml").read_text("utf-8")
    )
    rows = [
        {"label": "FFTP", "model": "strong", "epochs": 2},
        {"label": "square", "model": "square_strong", "epochs": 2},
        {
            "label": "windows",
            "model": "strong",
            "epochs": 2,
            "uses": {"model": "FFTP"},
            "options": {"window": 0.5, "hop": 0.25},
            "against": "FFTP",
        },
    ]
    for model in whole["models"].values():
        model["options"] = {}
    plan = {
        **whole,
        "seconds": 2.0,
        "n_classes": 2,
        "options": TINY,
        "tables": {"all": {"title": "Events", "folds": 1, "rows": rows}},
    }
    with run_study(folder, plan) as found:
        from study.uncertainty import METRICS

        yield *found, METRICS["event_F1"]


def test_splits_are_those_of_the_folder(studied):
    study, runs, rows, _ = studied
    for name, row in rows.items():
        assert row["clips"] == {"train": 12, "valid": 4, "test": 5}
        scores = study.results.scores(runs[name])
        assert scores.ids.tolist() == [f"eval{i:06}" for i in range(5)]
        assert (scores.groups == scores.ids).all()


def test_values_are_f1_of_the_stored_counts(studied):
    study, runs, rows, metric = studied
    for name, row in rows.items():
        scores = study.results.scores(runs[name])
        hits, found = np.split(scores.probs, 2, 1)
        assert scores.targets.sum(0).tolist() == [5, 5]
        assert (hits <= np.minimum(found, scores.targets)).all()
        f1 = 2 * hits.sum(0) / (found.sum(0) + 5)
        assert row["value"] == pytest.approx(f1.mean())
        assert metric(scores, np.ones((1, 5)))[0] == pytest.approx(f1.mean())
        assert row["event_F1"] == pytest.approx(row["value"])
        assert 0 <= row["PSDS1"] <= 1 and 0 <= row["mAP"] <= 1


def test_windows_are_of_the_same_model_and_cost_more(studied):
    _, _, rows, _ = studied
    assert rows["windows"]["trained"] == rows["FFTP"]["run"]
    assert rows["windows"]["training_macs"] == rows["FFTP"]["training_macs"]
    assert rows["windows"]["macs"] > 2 * rows["FFTP"]["macs"]
    assert rows["square"]["macs"] > rows["FFTP"]["macs"]
    assert rows["windows"]["mean_seconds"] >= 0
