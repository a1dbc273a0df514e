"""Readers of the output formats of ``fftp-tag``.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import json
import re

from tiny_onnx import RATE

# Each reader yields the columns of a tag or an event that its format has


def read_table(text):
    times = r"(?: *(?P<start>[\d.]+) +(?P<end>[\d.]+))?"
    item = r"  (?P<probability>\d\.\d{3})  (?P<label>.*?)(?:  \(thres.*)?"
    for line in text.splitlines():
        found = re.fullmatch(times + item, line)
        if found is None:
            file = line
        else:
            columns = found.groupdict().items()
            yield {"file": file, **{x: y for x, y in columns if y is not None}}


def read_json(text):
    for result in json.loads(text):
        file = result.pop("file")
        [(kind, items)] = result.items()
        assert kind in ("tags", "events")
        for item in items:
            yield {"file": file, **item}


def read_csv(text):
    for row in csv.DictReader(io.StringIO(text)):
        row.pop("reaches_threshold", None)
        if row.pop("error") or not row["label"]:
            continue
        # What a spreadsheet would take for a formula has a quote before it
        row["label"] = re.sub("^'(?=[=+@])", "", row["label"])
        yield row


def read_audacity(text):
    """Without quotes."""
    for line in text.splitlines():
        yield dict(zip(("start", "end", "label"), line.split("\t")))


def read_raven(text):
    table = csv.DictReader(io.StringIO(text), delimiter="\t")
    for number, row in enumerate(table, 1):
        assert row.pop("Selection") == str(number)
        assert row.pop("View") == "Spectrogram 1" and row.pop("Channel") == "1"
        assert float(row.pop("Low Freq (Hz)")) == 0
        assert float(row.pop("High Freq (Hz)")) == RATE / 2
        columns = ("start", "end", "label", "probability")
        yield dict(zip(columns, row.values(), strict=True))


READERS = {
    "table": read_table,
    "json": read_json,
    "csv": read_csv,
    "audacity": read_audacity,
    "raven": read_raven,
}
