"""Tests of ``fftp-tag evaluate``.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.event_metrics import event_metrics


@pytest.fixture(scope="module")
def data(exported, tmp_path_factory):
    """One folder for each class of the model, with three clips each."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for label in exported[0]["labels"]:
        (folder / label).mkdir()
        for number in range(3):
            wav = rng.uniform(0.01, 0.2) * rng.standard_normal(8000)
            sf.write(folder / label / f"{number}.wav", wav, 16000)
    return folder


def run(model, data, *options):
    arguments = ["evaluate", "--model", model, "--data_folder", data, *options]
    return main(list(map(str, arguments)))


def test_scores_are_printed_and_written(exported, data, tmp_path, capsys):
    output = tmp_path / "scores"
    options = ["--window", 0.3, "--hop", 0.1, "--output", output]
    assert run(exported[1], data, *options) == 0
    captured = capsys.readouterr()
    tagger = AudioTagger.from_pretrained(exported[1])
    found = tagger.evaluate(data, window=0.3, hop=0.1)
    assert f"mAP      {found.metrics['mAP']:.4f}\n" in captured.out
    written = json.loads((output / "metrics.json").read_text("utf-8"))
    assert written["mAP"] == pytest.approx(found.metrics["mAP"])
    used = {"window": 0.3, "hop": 0.1}
    assert written["split"] == "all"
    assert written["options"] == used and written["skipped"] == {}
    with open(output / "predictions.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["ID"] for row in rows} == set(found.ids)
    with open(output / "per_class.csv", encoding="utf-8") as file:
        aps = {row["label"]: float(row["AP"]) for row in csv.DictReader(file)}
    assert list(aps) == exported[0]["labels"]
    assert np.mean(list(aps.values())) == pytest.approx(written["mAP"])


def test_events_are_scored_by_a_table(exported, data, tmp_path, capsys):
    tagger = AudioTagger.from_pretrained(exported[1])
    found = tagger.evaluate(data)
    truth, lines = {}, ["filename\tonset\toffset\tevent_label"]
    for clip, own in zip(found.ids, found.targets.argmax(1)):
        truth[clip] = [(0.1, 0.35, found.labels[own])]
        lines.append(f"{clip}\t0.1\t0.35\t{found.labels[own]}")
    lines.append(f"{clip}\t0.1\t0.2\tUnknown to the model")
    table = tmp_path / "strong.tsv"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    options = ["--strong_labels", table, "--window", 0.2, "--hop", 0.1]
    options += ["--output", tmp_path / "scores"]
    assert run(exported[1], data, *options) == 0
    printed = capsys.readouterr().out
    clips = {
        clip: tagger.analyze(
            data / truth[clip][0][2] / f"{clip[-1]}.wav", 0.2, 0.1
        )
        for clip in found.ids
    }
    expected = event_metrics(clips, truth)
    text = (tmp_path / "scores" / "metrics.json").read_text("utf-8")
    written = json.loads(text)["events"]
    assert written == pytest.approx(expected, nan_ok=True)
    assert all(name in printed for name in expected)
