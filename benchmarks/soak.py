"""Faults and hostile input: what was tried and survived, and what was lost.

Kills the AudioSet recipe at random points (the n-th change of a file, or a
random time) while it prepares, trains and exports, starts it again, and
compares metrics, manifests and weights with those of an uninterrupted run. Then
runs the tests of other faults and of hostile input, including slow ones. Writes
benchmarks/results/soak.json and .md.

> python benchmarks/soak.py --kills 100

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import harness

from speechbrain_fftp.datasets.synthetic.demo_set import make_demo_set

TESTS = Path(__file__).resolve().parents[1] / "tests" / "integration"
sys.path.insert(0, str(TESTS))
from kills import soak  # noqa: E402


def kill_rows(kills, folder):
    """Rows of kills, and a list of what was lost."""
    data_folder = folder / "data"
    make_demo_set(data_folder, num_train=24, num_valid=8, num_eval=8)
    rows, losses = [], []
    for format in ("flac", "webdataset"):
        runs = folder / format
        runs.mkdir()
        struck, lost = soak(kills // 2, runs, data_folder, format=format)
        losses += lost
        for stage in ("prepare", "train", "export"):
            row = {
                "fault": f"SIGKILL, stage: {stage}",
                "training clips": format,
                "tried": struck[stage],
            }
            harness.add_row(rows, row)
    return rows, losses


def test_rows(folder):
    """Rows of the tests of faults and of hostile input."""
    report = folder / "report.xml"
    files = sorted(TESTS.glob("test_fuzz*.py"))
    files += [TESTS / "test_faults.py", TESTS / "test_webdataset.py"]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}"]
        + ["-k", "not random_kills", *map(str, files)],
        cwd=TESTS.parents[1],
    )
    outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        file = case.get("classname").split(".")[-1]
        name = case.get("name").split("[")[0].replace("_", " ")
        results = {result.tag for result in case}
        outcome = "passed"
        if results & {"failure", "error"}:
            outcome = "failed"
        elif "skipped" in results:
            outcome = "skipped"
        outcomes.setdefault((file, name), Counter())[outcome] += 1
    rows = []
    for (file, name), counts in outcomes.items():
        row = {"test": file, "what": name.replace("test ", "", 1)}
        row.update((k, counts[k]) for k in ("passed", "failed", "skipped"))
        harness.add_row(rows, row)
    return rows


def main():
    """Tries everything and writes the results; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    kills = parser.parse_args().kills
    with tempfile.TemporaryDirectory() as folder:
        rows, lost = kill_rows(kills, Path(folder))
        note = (
            "All runs resumed and ended with the metrics and files of an "
            "uninterrupted run, identical byte for byte."
        )
        if lost:
            note = " ".join(["Lost:", *lost])
        sections = {
            "Kills at random points": (note, rows),
            "Other faults and hostile input": (
                "Tests, including slow ones.",
                test_rows(Path(folder)),
            ),
        }
    packages = ("speechbrain", "hypothesis", "webdataset")
    about = harness.environment("cpu", packages)
    harness.write_results("soak", about, sections)
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
