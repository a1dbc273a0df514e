"""Prepares AudioSet: 16 kHz mono FLAC files and SpeechBrain manifests.

Two layouts of AudioSet's data folder are understood:

* AudioSet's own lists (balanced_train_segments.csv, eval_segments.csv and, if
  there are, valid_segments.csv and unbalanced_train_segments.csv) with one audio
  file per clip, audio/ID.flac (or wav, ogg, mp3), that begins with the segment;
* parquet shards with the columns video_id, audio and labels.

Both need class_labels_indices.csv, the list of classes. Without a validation
set, some of the training clips are held out for it. Two more are for sounds of
one's own, see speechbrain_fftp.datasets.own_sounds.listing: clips.csv, a table of clips,
and one folder per class.

The training recipe calls this for the balanced set. The unbalanced set is best
prepared beforehand, with its training clips in tar shards (WebDataset):
> python recipes/AudioSet/audioset_prepare.py DATA_FOLDER SAVE_FOLDER \
>     --format webdataset --unbalanced --valid_fraction 0.01 --num_workers 8
With --verify added, it checks the shards and mends those that are damaged.

Dataset: https://research.google.com/audioset

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import json
import logging
import os
from collections import Counter

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.convert import TREATMENTS, convert_clips
from speechbrain_fftp.dataio.files import write_csv, write_json
from speechbrain_fftp.datasets.audioset.layouts import (
    CLASS_LIST,
    SPLITS,
    audio_reader,
    choose_clips,
    cut_jobs,
    list_clips,
)
from speechbrain_fftp.datasets.audioset.lists import (
    check_class_names,
    read_class_list,
)
from speechbrain_fftp.datasets.audioset.shard_index import INDEX, make_index
from speechbrain_fftp.datasets.audioset.shards import (
    find_damaged,
    hash_fraction,
    write_shards,
)
from speechbrain_fftp.datasets.own_sounds.listing import (
    LAYOUTS,
    find_own_sounds,
)

logger = get_logger(__name__)

FORMATS = ("flac", "webdataset")
# Of folders prepared before there was a choice
EARLIER_SOURCE = {"unbalanced": False, "format": "flac"}
CSV_URL = "http://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv"


def prepare_audioset(
    data_folder,
    save_folder,
    valid_fraction=0.05,
    sample_rate=16000,
    num_workers=None,
    skip_prep=False,
    unbalanced=False,
    format="flac",
    clips_per_shard=1000,
    verify=False,
):
    """Converts the clips once and writes the manifests of the recipe.

    Writes ``flac/ID.flac``, ``train.csv``, ``valid.csv`` and ``eval.csv`` (with
    paths relative to ``$data_root``, the save folder), ``classes.csv``,
    ``label_statistics.csv``, and ``prepare_report.json`` with what was counted
    and every clip that was skipped. Returns at once if the manifests are there;
    an interrupted preparation goes on where it stopped.

    In the format ``webdataset``, the training clips are in ``shards/*.tar``
    with the index ``train.json`` instead, for ``datasets.audioset.streams.ShardStream``.

    Arguments
    ---------
    data_folder : str
        Folder in one of the layouts (see above).
    save_folder : str
        Folder to write to.
    valid_fraction : float
        Part of AudioSet's training clips to hold out if it has no validation
        set; own sounds have shares of their own.
    sample_rate : int
        Sampling rate of the written files, in Hz.
    num_workers : int, optional
        How many files to convert at a time, by default one per CPU.
    skip_prep : bool
        Whether to do nothing.
    unbalanced : bool
        Whether to train on the unbalanced set as well as the balanced one.
    format : str
        How to store the training clips: ``flac`` or ``webdataset``.
    clips_per_shard : int
        How many clips go into one tar; a thousand are about 200 MB.
    verify : bool
        Whether to read all shards and write those that are damaged anew.

    Raises
    ------
    FileNotFoundError
        If the data folder or a list in it is missing.
    ValueError
        If an argument or a list makes no sense, no clip of a split can be
        used, or the save folder was prepared from something else.

    Example
    -------
    >>> prepare_audioset("/path/to/AudioSet", "results/prepared")
    """
    if skip_prep:
        return
    if not 0 < valid_fraction < 1:
        raise ValueError(f"valid_fraction is {valid_fraction}, not in (0, 1)")
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}, not one of {FORMATS}")
    if clips_per_shard < 1:
        raise ValueError(f"clips_per_shard is {clips_per_shard}, less than 1")
    in_shards = format == "webdataset"
    if verify and not in_shards:
        raise ValueError("verify is for format='webdataset' only")
    source = {
        "data_folder": os.path.abspath(data_folder),
        "valid_fraction": valid_fraction,
        "sample_rate": sample_rate,
        "unbalanced": unbalanced,
        "format": format,
    }
    own = find_own_sounds(data_folder)
    if own is not None:
        source["own_sounds"] = own.digest
        if unbalanced:
            raise ValueError("unbalanced is for AudioSet only")
    is_prepared = _is_prepared(save_folder, source)
    damaged = find_damaged(save_folder, num_workers) if verify else []
    if is_prepared and not damaged:
        logger.info("Using the data prepared in %s", save_folder)
        return

    if own is not None:
        classes, listed = own.classes, own.listed
        shards = dict.fromkeys(SPLITS, own.files)
    else:
        classes = _read_classes(data_folder)
        listed, shards = list_clips(data_folder, unbalanced)
    os.makedirs(os.path.join(save_folder, "flac"), exist_ok=True)
    write_json(os.path.join(save_folder, "source.json"), source)

    chosen, skipped, unknown_mids = choose_clips(listed, classes)
    parts, held_out = dict(chosen), "valid" not in listed
    if held_out and in_shards:
        train, valid = _hold_out(chosen["train"], valid_fraction)
        parts.update(train=train, valid=valid)
    converted, failed, records = {}, {}, []
    for split, clips in parts.items():
        paths = shards and shards[split if split in listed else "train"]
        if split == "train" and in_shards:
            jobs = cut_jobs(clips, data_folder, paths, clips_per_shard)
            records = write_shards(
                jobs, save_folder, classes, sample_rate, num_workers, damaged
            )
            for record in records:
                failed.update((c["id"], c["reason"]) for c in record["skipped"])
            continue
        done, reasons = convert_clips(
            {clip.id: clip.end - clip.start for clip in clips},
            audio_reader(data_folder, paths),
            os.path.join(save_folder, "flac"),
            sample_rate,
            num_workers,
            split,
        )
        converted.update(done)
        failed.update(reasons)
    for split, clips in chosen.items():
        for clip_id in (clip.id for clip in clips if clip.id in failed):
            reason = failed[clip_id]
            skipped.append({"id": clip_id, "split": split, "reason": reason})

    kept = {s: [c for c in parts[s] if c.id not in failed] for s in SPLITS}
    if held_out and not in_shards:
        kept["train"], kept["valid"] = _hold_out(kept["train"], valid_fraction)

    counts = {}
    for split in SPLITS:
        about = (converted[c.id] for c in kept[split] if c.id in converted)
        treated = Counter(t for _, treatments in about for t in treatments)
        if split == "train":
            for record in records:
                treated.update(record["treatments"])
        counts[split] = {
            "listed": len(listed.get(split, ())),
            "written": len(kept[split]),
            "skipped": sum(clip["split"] == split for clip in skipped),
            **{treatment: treated[treatment] for treatment in TREATMENTS},
        }
    reasons = Counter(clip["reason"].split(":")[0] for clip in skipped)
    report_path = os.path.join(save_folder, "prepare_report.json")
    report = {
        "splits": counts,
        "valid_is_held_out_of_train": held_out,
        "skipped_reasons": reasons,
        "unknown_mids": unknown_mids,
        "skipped": skipped,
    }
    write_json(report_path, report)
    summary = ", ".join(f"{n} {r}" for r, n in reasons.items()) or "none"
    for split in SPLITS:
        if not kept[split]:
            raise ValueError(
                f"No clip is left for the {split} split of {data_folder};"
                f" skipped: {summary}. Each is listed in {report_path}: mend"
                " the data and prepare again."
            )
    _write_tables(save_folder, kept, converted, classes)
    if in_shards:
        write_json(os.path.join(save_folder, INDEX), make_index(records))
    sizes = ", ".join(f"{len(kept[split])} {split}" for split in SPLITS)
    logger.info("Prepared %s clips in %s", sizes, save_folder)
    if skipped:
        logger.warning("Skipped clips: %s; see %s", summary, report_path)


def _is_prepared(save_folder, source):
    """Whether the folder is complete; an error if it has another source."""
    path = os.path.join(save_folder, "source.json")
    if not os.path.isfile(path):
        return False
    with open(path, encoding="utf-8") as file:
        recorded = {**EARLIER_SOURCE, **json.load(file)}
    for key, value in source.items():
        if recorded.get(key) != value:
            raise ValueError(
                f"{save_folder} was prepared with {key}={recorded.get(key)!r},"
                f" not {value!r} (see {path}). Give another save folder, or"
                " delete this one to prepare it anew."
            )
    manifests = [f"{split}.csv" for split in SPLITS]
    if source["format"] == "webdataset":
        manifests[0] = INDEX
    return all(os.path.isfile(os.path.join(save_folder, m)) for m in manifests)


def _read_classes(data_folder):
    """Reads the list of classes, whose names the manifests join with ';'."""
    if not os.path.isdir(data_folder):
        raise FileNotFoundError(f"data_folder {data_folder} does not exist")
    path = os.path.join(data_folder, CLASS_LIST)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{path} is missing: download it from {CSV_URL}/{CLASS_LIST}, if"
            f" this is to be AudioSet. {LAYOUTS}"
        )
    classes = read_class_list(path)
    check_class_names(classes.values(), path)
    return classes


def _hold_out(clips, fraction):
    """Parts the clips in two by a hash of their ids, the second not empty."""
    places = [hash_fraction(clip.id) for clip in clips]
    limit = max(fraction, min(places, default=0))
    rest = [clip for clip, place in zip(clips, places) if place > limit]
    return rest, [c for c, place in zip(clips, places) if place <= limit]


def _write_tables(save_folder, kept, converted, classes):
    """Writes classes and statistics, and then manifests of single files."""
    path = os.path.join(save_folder, "classes.csv")
    rows = [(i, *entry) for i, entry in enumerate(classes.items())]
    write_csv(path, ("index", "mid", "display_name"), rows)

    path = os.path.join(save_folder, "label_statistics.csv")
    counts = {s: Counter(m for c in kept[s] for m in c.mids) for s in SPLITS}
    rows = [(*e, *(counts[s][e[0]] for s in SPLITS)) for e in classes.items()]
    write_csv(path, ("mid", "label", *SPLITS), rows)

    for split in SPLITS:
        rows = [
            (
                clip.id,
                converted[clip.id][0],
                f"$data_root/flac/{clip.id}.flac",
                ";".join(classes[mid] for mid in clip.mids if mid in classes),
            )
            for clip in kept[split]
            if clip.id in converted
        ]
        path = os.path.join(save_folder, f"{split}.csv")
        if rows:
            write_csv(path, ("ID", "duration", "wav", "labels"), rows)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data_folder")
    parser.add_argument("save_folder")
    parser.add_argument("--valid_fraction", type=float, default=0.05)
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--num_workers", type=int)
    parser.add_argument("--unbalanced", action="store_true")
    parser.add_argument("--format", choices=FORMATS, default="flac")
    parser.add_argument("--clips_per_shard", type=int, default=1000)
    parser.add_argument("--verify", action="store_true")
    prepare_audioset(**vars(parser.parse_args()))
