"""Reads tables of custom clips: clips.csv, ESC-50, UrbanSound8K and FSD50K.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
from pathlib import PureWindowsPath

from speechbrain_fftp.datasets.audioset.layouts import AUDIOSET_SPLITS
from speechbrain_fftp.datasets.audioset.lists import read_table, unique_mids
from speechbrain_fftp.datasets.own_sounds.splits import OwnClip

CLIP_LIST = "clips.csv"
SPLIT_WORDS = {**{split: split for split in AUDIOSET_SPLITS}, "test": "eval"}
SPLIT_WORDS["val"] = "valid"
# What an OwnClip is made of in published tables: path, labels, split, group and
# fold, in terms of their columns
URBANSOUND = "audio/fold{fold}/{slice_file_name} | {class} |  | {fsID} | {fold}"
FSD50K = "FSD50K.{}_audio/{{fname}}.wav | {{labels}} | {}"
PUBLISHED_TABLES = {
    "meta/esc50.csv": "audio/{filename} | {category} |  | {src_file} | {fold}",
    "metadata/UrbanSound8K.csv": URBANSOUND,
    "FSD50K.ground_truth/dev.csv": FSD50K.format("dev", "{split}"),
    "FSD50K.ground_truth/eval.csv": FSD50K.format("eval", "eval"),
}


def read_tables(data_folder):
    """Lists the clips of clips.csv, or else of published tables.

    Returns a list of OwnClip, empty without a table, and the tables' paths.
    """
    templates = {CLIP_LIST: "", **PUBLISHED_TABLES}
    found = {os.path.join(data_folder, n): t for n, t in templates.items()}
    tables = list(filter(os.path.isfile, found))
    if tables and not found[tables[0]]:
        tables = tables[:1]
    clips = [clip for t in tables for clip in read_clip_list(t, found[t])]
    return clips, tables


def read_clip_list(path, template=""):
    """Reads a table of clips; returns a list of OwnClip.

    Its columns are ``path`` (relative to the data folder), ``labels`` (joined
    by ``;``) and optionally ``split`` (train, valid, eval or test) or ``fold``,
    and ``group``, which may be empty; or ``template``, one of PUBLISHED_TABLES,
    makes them of others. Errors name the file and the line.
    """
    clips, seen = [], {}
    needed = re.findall(r"{(\w+)}", template) or ("path", "labels")
    for line, row in read_table(path, needed):
        try:
            if template:
                entries = [e.format_map(row) for e in template.split(" | ")]
                row = dict(zip(OwnClip._fields, entries))
                row["labels"] = row["labels"].replace(",", ";")
            clip = _parse_row(row)
            first_line, first = seen.setdefault(clip.path, (line, clip))
            if clip != first:
                raise ValueError(
                    f"{clip.path!r} is in line {first_line} as well, with other"
                    " entries: use one line, with labels joined by ';'"
                )
            if clips and bool(clips[0].fold) != bool(clip.fold):
                raise ValueError("give each clip a fold, or none of them")
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}")
        clips.append(clip)
    if not clips:
        raise ValueError(f"{path} lists no clip")
    return clips


def _parse_row(row):
    """Turns the entries of a clip into an OwnClip; errors say what to change."""
    if not row["path"]:
        raise ValueError("the path is empty")
    # It knows the absolute paths and separators of other systems as well
    path = PureWindowsPath(row["path"])
    if path.drive or path.root or ".." in path.parts or not path.parts:
        raise ValueError(
            f"the path {row['path']!r} must be relative to the data folder and"
            " within it"
        )
    split, fold = row.get("split", "").lower(), row.get("fold", "")
    if split and split not in SPLIT_WORDS:
        words = ", ".join(SPLIT_WORDS)
        raise ValueError(f"the split is {split!r}, not one of {words}")
    if split and fold:
        raise ValueError("a clip has a split or a fold: empty one of them")
    labels = unique_mids(row["labels"].split(";"))
    split, group = SPLIT_WORDS.get(split, ""), row.get("group", "")
    return OwnClip(path.as_posix(), labels, split, group, fold)
