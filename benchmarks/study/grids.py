"""Reads the study's tables (grids.yaml) and completes their rows.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path
from typing import NamedTuple, Optional

import yaml
from study.models import Config, figures

TABLES = Path(__file__).with_name("grids.yaml")
AVERAGED = 5  # avg_checkpoints in the recipes' yamls
MAX_DEPTH = 24


class Row(NamedTuple):
    """A configuration, and the label of the row it is compared with."""

    label: str
    config: Config
    baseline: Optional[str] = None


class Grid(NamedTuple):
    """Configurations that are compared with one another."""

    title: str
    rows: list
    pairs: list


def read_grids(data, smoke=False):
    """All grids for some ``Data``, by name, completed by ``make_row``."""
    tables = yaml.safe_load(TABLES.read_text("utf-8"))
    grids = {}
    for name, table in tables["smoke_grids" if smoke else "grids"].items():
        if table.get("only", data.format) != data.format:
            continue
        rows = {}
        for entry in table["rows"]:
            row = make_row(entry, tables["models"], rows, data)
            rows[row.label] = row
        grids[name] = Grid(
            table["title"], list(rows.values()), table.get("pairs", [])
        )
    return grids


def make_row(entry, models, rows, data):
    """Completes an entry of the tables, given the grid's rows above it."""
    model = models[entry["model"]]
    options = {**model["options"], **entry.get("options", {})}
    for key, value in options.items():
        if isinstance(value, dict):
            options[key] = value[data.format]
    for key, factor in entry.get("scale", {}).items():
        options[key] = round(factor * options[key], 6)
    path = model["yaml"]
    if "/" not in path:
        path = f"{data.yamls}/{path}.yaml"
    config = Config(path, {**data.overrides, **options})
    if "epochs_of" in entry:
        config = as_long(config, rows[entry["epochs_of"]].config, data)
    if "width_of" in entry:
        config = as_wide(config, rows[entry["width_of"]].config, data)
    if "depth_of" in entry:
        config = as_deep(config, rows[entry["depth_of"]].config, data)
    label = entry["label"].format_map(config.overrides)
    return Row(label, config, entry.get("baseline"))


def as_long(config, other, data):
    """Changes the epochs so that training costs as many MACs as another one.

    With fewer epochs, proportionally fewer checkpoints are averaged.
    """
    usual = other.overrides["number_of_epochs"]
    macs = usual * figures(other, data).macs
    epochs = max(1, round(macs / figures(config, data).macs))
    if epochs < usual:
        averaged = other.overrides.get("avg_checkpoints", AVERAGED)
        config = config.but(avg_checkpoints=max(1, averaged * epochs // usual))
    return config.but(number_of_epochs=epochs)


def as_wide(config, other, data):
    """Changes the width so that inference costs as many MACs as another one."""

    def sized(width):
        return config.but(embed_dim=width, num_heads=heads(width))

    def heads(width):
        return max(1, round(width / 64))

    most = 2 * config.overrides["embed_dim"]
    widths = [w for w in range(8, most + 1, 8) if w % heads(w) == 0]
    return closest(map(sized, widths), other, data)


def as_deep(config, other, data):
    """Changes the depth so that inference costs as many MACs as another one."""
    depths = range(1, MAX_DEPTH + 1)
    return closest((config.but(depth=depth) for depth in depths), other, data)


def closest(configs, other, data):
    """The configuration, of ascending MACs, with MACs closest to another's."""
    target, before = figures(other, data).macs, None
    for config in configs:
        over = figures(config, data).macs - target
        if over >= 0:
            break
        before = config, -over
    return before[0] if before and before[1] <= over else config
