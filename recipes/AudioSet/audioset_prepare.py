"""Prepares AudioSet: 16 kHz mono FLAC files and SpeechBrain manifests.

AudioSet's data folder has one of two layouts:

* AudioSet's own lists (balanced_train_segments.csv, eval_segments.csv and,
  optionally, valid_segments.csv and unbalanced_train_segments.csv) with one
  audio file per clip, audio/ID.flac (or wav, mp3, m4a, ...), that begins with
  the segment;
* parquet shards with the columns video_id, audio and labels.

Both need class_labels_indices.csv, the list of classes. Without a validation
set, some of the training clips are held out for validation. Custom data has
more layouts, see speechbrain_fftp.datasets.own_sounds.listing: clips.csv, a
table of clips; one folder per class; or ESC-50, UrbanSound8K or FSD50K.

The training recipe calls this for the balanced set. The unbalanced set should
be prepared beforehand, with its training clips in tar shards (WebDataset):
> python recipes/AudioSet/audioset_prepare.py DATA_FOLDER SAVE_FOLDER \
>     --format webdataset --unbalanced --valid_fraction 0.01 --num_workers 8
With --verify, it also checks all shards and repairs the damaged ones.

Dataset: https://research.google.com/audioset

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import functools
import logging
import os
from collections import Counter
from typing import Callable, NamedTuple, Optional

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.convert import TREATMENTS, convert_clips
from speechbrain_fftp.dataio.files import hash_fraction, write_csv, write_json
from speechbrain_fftp.dataio.prepared import DONE, prepare_folder, source_state
from speechbrain_fftp.datasets.audioset.layouts import (
    AUDIOSET_SPLITS,
    CLASS_LIST,
    audio_reader,
    choose_clips,
    cut_jobs,
    find_lists,
    list_clips,
    source_files,
)
from speechbrain_fftp.datasets.audioset.lists import (
    check_class_names,
    read_class_list,
)
from speechbrain_fftp.datasets.audioset.shard_index import INDEX, make_index
from speechbrain_fftp.datasets.audioset.shards import (
    discard_damaged,
    find_damaged,
    write_shards,
)
from speechbrain_fftp.datasets.own_sounds.copies import find_near_copies
from speechbrain_fftp.datasets.own_sounds.listing import (
    LAYOUTS,
    find_own_sounds,
    split_own_sounds,
)
from speechbrain_fftp.datasets.own_sounds.splits import choose_fold

logger = get_logger(__name__)

STORAGE_FORMATS = ("flac", "webdataset")
CSV_URL = "http://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv"
REPORT = "prepare_report.json"
TABLES = ("valid.csv", "eval.csv", "classes.csv", "label_statistics.csv")
FOLDERS = ("flac", "shards")


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
    test_fold=None,
):
    """Converts the clips once and writes the manifests of the recipe.

    Writes ``flac/ID.flac``, ``train.csv``, ``valid.csv`` and ``eval.csv`` (with
    paths relative to ``$data_root``, the save folder), ``classes.csv``,
    ``label_statistics.csv``, and ``prepare_report.json`` with counts and all
    skipped clips. Returns at once if the folder is complete and the source
    files have not changed; an interrupted preparation is resumed.

    With the format ``webdataset``, the training clips are in ``shards/*.tar``
    with the index ``train.json`` instead, for
    ``speechbrain_fftp.datasets.audioset.streams.ShardStream``.

    Arguments
    ---------
    data_folder : str
        Folder in one of the layouts (see above). It may be deleted afterwards.
    save_folder : str
        Folder to write to.
    valid_fraction : float
        Fraction of AudioSet's training clips to hold out if there is no
        validation set. Custom data has fixed fractions.
    sample_rate : int
        Sampling rate of the written files, in Hz.
    num_workers : int, optional
        Number of files to convert in parallel, by default one per CPU.
    skip_prep : bool
        Whether to do nothing.
    unbalanced : bool
        Whether to add the unbalanced set to the training clips.
    format : str
        Storage of the training clips: ``flac`` or ``webdataset``.
    clips_per_shard : int
        Number of clips per tar shard; a thousand are about 200 MB.
    verify : bool
        Whether to read all shards and write damaged ones again.
    test_fold : str or int, optional
        The fold to evaluate on, for custom data with folds.

    Raises
    ------
    FileNotFoundError
        If the data folder or a list in it is missing.
    ValueError
        If an argument or a list is invalid, a split has no usable clip, or the
        save folder was prepared with other settings or from other files.
    RuntimeError
        If another process is preparing the save folder.

    Example
    -------
    >>> prepare_audioset("/path/to/AudioSet", "results/prepared")
    """
    if skip_prep:
        return
    if not 0 < valid_fraction < 1:
        raise ValueError(f"valid_fraction is {valid_fraction}, not in (0, 1)")
    if format not in STORAGE_FORMATS:
        raise ValueError(f"format is {format!r}, not one of {STORAGE_FORMATS}")
    if clips_per_shard < 1:
        raise ValueError(f"clips_per_shard is {clips_per_shard}, less than 1")
    if verify and format != "webdataset":
        raise ValueError("verify is for format='webdataset' only")
    settings = {
        "data_folder": os.path.abspath(data_folder),
        "valid_fraction": valid_fraction,
        "sample_rate": sample_rate,
        "unbalanced": unbalanced,
        "format": format,
        "test_fold": None if test_fold is None else str(test_fold),
    }
    open_data = functools.partial(
        _open_data, data_folder, unbalanced, test_fold
    )
    try:
        data = open_data()
        source = source_state(data.files, data_folder)
    except FileNotFoundError:
        if not os.path.isfile(os.path.join(save_folder, DONE)):
            raise
        data = source = None  # deleted after the preparation

    def prepare():
        """Prepares the folder unless it is complete."""
        manifest = INDEX if format == "webdataset" else "train.csv"
        tables = (manifest, *TABLES, REPORT)
        with prepare_folder(
            save_folder, settings, source, tables, FOLDERS, resume=FOLDERS
        ) as todo:
            if not todo:
                logger.info("Using the data prepared in %s", save_folder)
                return
            _write_folder(
                data or open_data(),
                settings,
                save_folder,
                num_workers,
                clips_per_shard,
            )

    prepare()
    damaged = find_damaged(save_folder, num_workers) if verify else []
    if damaged:
        data = data or open_data()
        discard_damaged(save_folder, damaged)
        prepare()


class _Data(NamedTuple):
    """Content of a data folder."""

    classes: dict  # from mid to display name
    list_clips: Callable  # returns the clips of each split, and copies
    audio: Optional[dict]  # of each split, see audio_reader
    files: list  # all files that the prepared clips depend on


def _open_data(data_folder, unbalanced=False, test_fold=None):
    """Finds classes, clips and audio; errors say what is missing."""
    own = find_own_sounds(data_folder)
    if own is not None:
        if unbalanced:
            raise ValueError("unbalanced is for AudioSet only")
        clips = choose_fold(own.clips, test_fold, data_folder)
        list_own = functools.partial(
            split_own_sounds, own._replace(clips=clips)
        )
        files = [*own.files.values(), *own.tables]
        audio = dict.fromkeys(AUDIOSET_SPLITS, own.files)
        return _Data(own.classes, list_own, audio, files)
    classes = _read_classes(data_folder)
    if test_fold is not None:
        raise ValueError("test_fold is for custom data with folds only")
    lists, in_parquet = find_lists(data_folder, unbalanced)
    return _Data(
        classes,
        lambda: (list_clips(lists, in_parquet), None),
        lists if in_parquet else None,
        source_files(data_folder, lists, in_parquet),
    )


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


def _write_folder(data, settings, save_folder, num_workers, clips_per_shard):
    """Writes audio, tables and report."""
    listed, copies = data.list_clips()
    chosen, skipped, unknown_mids = choose_clips(listed, data.classes)
    split_clips, held_out = dict(chosen), "valid" not in listed
    in_shards = settings["format"] == "webdataset"
    if held_out and in_shards:
        split_clips["train"], split_clips["valid"] = _hold_out(
            chosen["train"], settings["valid_fraction"]
        )

    folder, rate = settings["data_folder"], settings["sample_rate"]
    os.makedirs(os.path.join(save_folder, "flac"), exist_ok=True)
    converted, failed, records = {}, {}, None
    for split, clips in split_clips.items():
        audio = data.audio and data.audio[split if split in listed else "train"]
        if split == "train" and in_shards:
            jobs = cut_jobs(clips, folder, audio, clips_per_shard)
            records = write_shards(
                jobs, save_folder, data.classes, rate, num_workers
            )
            for record in records:
                failed.update((c["id"], c["reason"]) for c in record["skipped"])
            continue
        done, reasons = convert_clips(
            {clip.id: clip.end - clip.start for clip in clips},
            audio_reader(folder, audio),
            os.path.join(save_folder, "flac"),
            rate,
            num_workers,
            split,
        )
        converted.update(done)
        failed.update(reasons)

    for split, clips in chosen.items():
        for clip in clips:
            if clip.id in failed:
                reason = failed[clip.id]
                skipped.append(
                    {"id": clip.id, "split": split, "reason": reason}
                )
    kept = {
        split: [clip for clip in split_clips[split] if clip.id not in failed]
        for split in AUDIOSET_SPLITS
    }
    if held_out and not in_shards:  # of the clips that can be used
        kept["train"], kept["valid"] = _hold_out(
            kept["train"], settings["valid_fraction"]
        )
    treated = {
        split: Counter(
            treatment
            for clip in clips
            if clip.id in converted
            for treatment in converted[clip.id][1]
        )
        for split, clips in kept.items()
    }
    for record in records or ():
        treated["train"].update(record["treatments"])
    report = {
        "splits": {
            split: {
                "listed": len(listed.get(split, ())),
                "written": len(kept[split]),
                "skipped": sum(clip["split"] == split for clip in skipped),
                **{name: treated[split][name] for name in TREATMENTS},
            }
            for split in AUDIOSET_SPLITS
        },
        "valid_is_held_out_of_train": held_out,
        "skipped_reasons": Counter(
            clip["reason"].split(":")[0] for clip in skipped
        ),
        "unknown_mids": unknown_mids,
        "skipped": skipped,
    }
    if copies is not None:  # custom data
        report["identical_clips"] = copies
    if copies is not None and all(kept.values()) and not in_shards:
        ids = {split: [clip.id for clip in kept[split]] for split in chosen}
        report["near_duplicates"] = find_near_copies(
            ids, os.path.join(save_folder, "flac"), num_workers
        )
    _write_report(save_folder, report, folder)
    durations = {i: seconds for i, (seconds, _) in converted.items()}
    _write_tables(save_folder, kept, durations, data.classes)
    if records is not None:
        write_json(os.path.join(save_folder, INDEX), make_index(records))


def _hold_out(clips, fraction):
    """Splits clips by a hash of their ids; the second part is not empty."""
    places = [hash_fraction(clip.id) for clip in clips]
    limit = max(fraction, min(places, default=0))
    rest = [clip for clip, place in zip(clips, places) if place > limit]
    return rest, [c for c, place in zip(clips, places) if place <= limit]


def _write_report(save_folder, report, data_folder):
    """Writes and logs the report; a split without clips is an error."""
    path = os.path.join(save_folder, REPORT)
    write_json(path, report)
    reasons = report["skipped_reasons"].items()
    summary = ", ".join(f"{n} {reason}" for reason, n in reasons) or "none"
    sizes = {
        split: about["written"] for split, about in report["splits"].items()
    }
    for split, size in sizes.items():
        if not size:
            raise ValueError(
                f"No clip is left for the {split} split of {data_folder};"
                f" skipped: {summary}. All skipped clips are in {path}: repair"
                " the data and prepare again."
            )
    sizes = ", ".join(f"{size} {split}" for split, size in sizes.items())
    logger.info("Clips in %s: %s", save_folder, sizes)
    if report["skipped"]:
        logger.warning("Skipped clips: %s; see %s", summary, path)
    near = report.get("near_duplicates")
    if near:
        pairs = [" = ".join(pair["ids"]) for pair in near[:3]]
        logger.warning(
            "%d pairs of clips in different splits sound the same: %s (see"
            " near_duplicates in %s). If they are copies, remove one of each, or"
            " give them a group in clips.csv",
            len(near),
            ", ".join(pairs),
            path,
        )


def _write_tables(save_folder, kept, durations, classes):
    """Writes classes, statistics and the manifests of single files."""
    path = os.path.join(save_folder, "classes.csv")
    rows = [(i, *entry) for i, entry in enumerate(classes.items())]
    write_csv(path, ("index", "mid", "display_name"), rows)

    path = os.path.join(save_folder, "label_statistics.csv")
    counts = [Counter(m for c in kept[s] for m in c.mids) for s in kept]
    rows = [(m, name, *(c[m] for c in counts)) for m, name in classes.items()]
    write_csv(path, ("mid", "label", *kept), rows)

    for split, clips in kept.items():
        rows = [
            (
                clip.id,
                durations[clip.id],
                f"$data_root/flac/{clip.id}.flac",
                ";".join(classes[mid] for mid in clip.mids if mid in classes),
            )
            for clip in clips
            if clip.id in durations
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
    parser.add_argument("--format", choices=STORAGE_FORMATS, default="flac")
    parser.add_argument("--clips_per_shard", type=int, default=1000)
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--test_fold")
    prepare_audioset(**vars(parser.parse_args()))
