"""The paper's table, from AudioSet's shards to the numbers, with tiny models.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import json

import numpy as np
import pytest
import soundfile as sf
from pyarrow import Table, parquet
from recipe_runs import ROOT, run_words

from fftp_tag.data.audioset import read_classes


@pytest.fixture
def run(monkeypatch):
    """The script, whose recipes are run as in the other tests, for speed."""
    for folder in (ROOT, ROOT / "benchmarks"):
        monkeypatch.syspath_prepend(folder)
    from studies import run

    def run_recipe(words, cwd, stdout, env):
        status, output = run_words(list(map(str, words)), cwd)
        stdout.write(output)
        stdout.flush()
        return status, 0.0, 0.0

    monkeypatch.setattr(run, "run_recipe", run_recipe)
    return run


def write_shards(folder):
    """Shards as on the hub, without lists, with clips of two classes."""
    mids, rng = list(read_classes()), np.random.default_rng(0)
    for split in ("bal_train", "eval"):
        rows = []
        for number in range(6):
            file = io.BytesIO()
            sf.write(file, rng.uniform(-0.5, 0.5, 48000), 48000, format="flac")
            audio = {"bytes": file.getvalue(), "path": f"{number}.flac"}
            clip = {"video_id": f"{split}{number}", "audio": audio}
            rows.append({**clip, "labels": [mids[number % 2]]})
        path = folder / "data" / split / "00.parquet"
        path.parent.mkdir(parents=True)
        parquet.write_table(Table.from_pylist(rows), path)


@pytest.mark.slow
@pytest.mark.parametrize("table, count", [("ast", 8), ("aum", 9)])
def test_the_table_is_made_of_shards(table, count, run, tmp_path):
    write_shards(tmp_path / "AudioSet")
    work = tmp_path / "work"
    words = [str(tmp_path / "AudioSet"), "--plan=paper_table", "--folds=1"]
    words += ["--smoke", f"--tables={table}", f"--work={work}"]
    assert run.main(words) == 0
    rows = list(map(json.loads, (work / "paper_table.jsonl").open()))
    for row in rows:
        assert row["clips"] == {"train": 6, "valid": 0, "test": 6}
        # After one epoch, all weights are the same; the log has five digits
        assert row["valid_by_epoch"] == pytest.approx([row["value"]], abs=1e-5)
    assert len(rows) == count
    # The same command has nothing left to do
    (tmp_path / "AudioSet" / "data").rename(tmp_path / "elsewhere")
    assert run.main(words) == 0
