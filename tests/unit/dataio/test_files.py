"""Tests of writing files whole.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from speechbrain_fftp.dataio.files import write_csv, write_json


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "report.json"
    write_json(path, {"written": 1})
    with pytest.raises(TypeError):
        write_json(path, {"written": object()})
    assert path.read_text("utf-8") == '{\n  "written": 1\n}\n'


def test_csv_quotes_only_where_needed(tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path, ("mid", "name"), [("/m/1", "a, b"), ("/m/2", "é")])
    expected = 'mid,name\n/m/1,"a, b"\n/m/2,é\n'
    assert path.read_bytes().decode("utf-8") == expected
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
