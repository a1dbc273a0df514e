r"""Prepares AudioSet: 16 kHz mono FLAC files and SpeechBrain manifests.

AudioSet's data folder has AudioSet's own lists (balanced_train_segments.csv,
eval_segments.csv and, optionally, valid_segments.csv and
unbalanced_train_segments.csv) and, anywhere in it, the audio of each clip in a
file named after its id, or in tar shards; or it has parquet or tar shards that
hold the labels as well. Without a validation set, some of the training clips are
held out for validation. Custom data has layouts of its own, see
speechbrain_fftp.datasets.custom.listing.

The training recipe calls this for the balanced set. The unbalanced set should
be prepared beforehand, with its training clips in tar shards (WebDataset):
> python recipes/AudioSet/audioset_prepare.py DATA_FOLDER SAVE_FOLDER \
>     --format webdataset --unbalanced --valid_fraction 0.01 --num_workers 8
With --verify, it also checks all shards and repairs the damaged ones. --part 1/8
to 8/8 do the same in eight jobs on a shared disk; the command above, given after
them, finds their work and completes the folder.

Dataset: https://research.google.com/audioset

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import logging
import os
import re

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import write_json
from speechbrain_fftp.datasets import prepared
from speechbrain_fftp.datasets.audioset import layouts, manifests, shards
from speechbrain_fftp.datasets.custom.copies import find_near_copies
from speechbrain_fftp.datasets.custom.listing import open_data
from speechbrain_fftp.training.errors import report_errors

logger = get_logger(__name__)

VALID_FRACTION = 0.05
STORAGE_FORMATS = ("flac", "webdataset")
CUT_SEGMENTS = ("auto", "yes", "no")
TABLES = ("valid.csv", "eval.csv", "classes.csv", "label_statistics.csv")
FOLDERS = ("flac", "shards")


def prepare_audioset(
    data_folder,
    save_folder,
    valid_fraction=VALID_FRACTION,
    sample_rate=16000,
    num_workers=None,
    skip_prep=False,
    unbalanced=False,
    format="flac",
    clips_per_shard=1000,
    verify=False,
    test_fold=None,
    cut_segments="auto",
    allow_missing=0.2,
    part=None,
):
    """Converts the clips once and writes the manifests of the recipe.

    Writes ``flac/ID.flac``, ``train.csv``, ``valid.csv`` and ``eval.csv`` (with
    paths relative to ``$data_root``, the save folder), ``classes.csv``,
    ``label_statistics.csv``, and ``prepare_report.json`` with counts and all
    skipped clips. Returns at once if the folder is complete and the source
    files have not changed; an interrupted preparation is resumed.

    With the format ``webdataset``, the training clips are in ``shards/*.tar``
    with the index ``train.json`` instead, for ``ShardStream``.

    Arguments
    ---------
    data_folder : str
        Folder with the data. It may be deleted afterwards.
    save_folder : str
        Folder to write to.
    valid_fraction : float
        Fraction of AudioSet's training clips to hold out without a valid set;
        another than the default is an error with custom data.
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
    cut_segments : str or bool
        Whether to cut segments out of whole recordings: ``yes``, ``no``, or
        ``auto``, by the duration of each file. Files that are named after the
        start of their segment are clips in any case.
    allow_missing : float
        Fraction of AudioSet's clips of a split that may have no audio.
    part : str, optional
        Only converts part i of n, as ``i/n``, beside processes that do others.
        The call without it, after them, completes the folder.

    Raises
    ------
    FileNotFoundError
        If the data folder or a list in it is missing.
    ValueError
        If an argument or a list is invalid, a split has no usable clip or too
        many without audio, or the save folder was prepared with other settings
        or from other files.
    RuntimeError
        If another process is preparing the save folder.

    Example
    -------
    >>> prepare_audioset("/path/to/AudioSet", "results/prepared")
    """
    if skip_prep:
        return
    cut_segments = {True: "yes", False: "no"}.get(cut_segments, cut_segments)
    if not 0 < valid_fraction < 1:
        raise ValueError(f"valid_fraction is {valid_fraction}, not in (0, 1)")
    if not 0 <= allow_missing <= 1:
        raise ValueError(f"allow_missing is {allow_missing}, not in [0, 1]")
    if format not in STORAGE_FORMATS:
        raise ValueError(f"format is {format!r}, not one of {STORAGE_FORMATS}")
    if cut_segments not in CUT_SEGMENTS:
        raise ValueError(f"cut_segments={cut_segments!r}, not {CUT_SEGMENTS}")
    if clips_per_shard < 1:
        raise ValueError(f"clips_per_shard is {clips_per_shard}, less than 1")
    if verify and (format != "webdataset" or part):
        raise ValueError("verify is for whole folders in format='webdataset'")
    share = _read_part(part)
    settings = {
        "data_folder": os.path.abspath(data_folder),
        "valid_fraction": valid_fraction,
        "sample_rate": sample_rate,
        "unbalanced": unbalanced,
        "format": format,
    }
    # Only if they are given: folders of earlier versions stay valid
    if test_fold is not None:
        settings["test_fold"] = str(test_fold)
    if cut_segments != "auto":
        settings["cut_segments"] = cut_segments
    try:
        data = open_data(settings)
        if data.notes is not None and valid_fraction != VALID_FRACTION:
            raise ValueError(
                "valid_fraction is for AudioSet only: give custom data a "
                "split in clips.csv instead"
            )
        source = prepared.source_state(data.files, settings["data_folder"])
    except FileNotFoundError:
        if not os.path.isfile(os.path.join(save_folder, prepared.DONE)):
            raise
        data = source = None  # deleted after the preparation

    def prepare():
        """Prepares the folder, or its part, unless the folder is complete."""
        manifest = shards.INDEX if format == "webdataset" else "train.csv"
        tables = (manifest, *TABLES, manifests.REPORT)
        with prepared.prepare_folder(
            save_folder,
            settings,
            source,
            tables,
            FOLDERS,
            resume=FOLDERS,
            share=part and part.replace("/", "-of-"),
        ) as todo:
            if not todo:
                logger.info("Using the data prepared in %s", save_folder)
                return
            found = data or open_data(settings)
            work = num_workers, clips_per_shard, share
            write_folder(found, settings, save_folder, allow_missing, work)

    prepare()
    damaged = shards.find_damaged(save_folder, num_workers) if verify else []
    if damaged:
        data = data or open_data(settings)
        shards.discard_damaged(save_folder, damaged)
        prepare()


def _read_part(part):
    """Turns ``i/n`` into (i - 1, n), and None into (0, 1)."""
    found = re.fullmatch(r"(\d+)/(\d+)", "1/1" if part is None else part)
    number, total = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= total:
        raise ValueError(f"part is {part!r}, not i/n such as 1/8")
    return number - 1, total


def write_folder(data, settings, save_folder, allow_missing, work):
    """Writes audio, tables and report; of a share, only the audio.

    ``work`` has the number of workers, the clips per shard, and the share.
    """
    num_workers, _, share = work
    listed = data.list_clips()
    chosen, skipped, unknown_mids = manifests.choose_clips(listed, data.classes)
    layouts.check_missing(chosen, data, allow_missing)
    split_clips, held_out = chosen, "valid" not in listed
    in_shards = settings["format"] == "webdataset"
    if held_out and in_shards:
        split_clips = manifests.hold_out(chosen, settings["valid_fraction"])
    converted, failed, records = manifests.convert_splits(
        split_clips, data, save_folder, settings, *work
    )
    if share[1] > 1:
        logger.info("Part %d of %d is done", share[0] + 1, share[1])
        return
    skipped += (
        {"id": clip.id, "split": split, "reason": failed[clip.id]}
        for split, clips in chosen.items()
        for clip in clips
        if clip.id in failed
    )
    kept = {
        split: [clip for clip in split_clips[split] if clip.id not in failed]
        for split in layouts.AUDIOSET_SPLITS
    }
    if held_out and not in_shards:  # of the clips that can be used
        kept = manifests.hold_out(kept, settings["valid_fraction"])
    notes = dict(data.notes or {})
    if notes and all(kept.values()) and not in_shards:  # custom data
        ids = {split: [clip.id for clip in kept[split]] for split in chosen}
        notes["near_duplicates"] = find_near_copies(
            ids, os.path.join(save_folder, "flac"), num_workers
        )
    manifests.write_report(
        save_folder,
        settings["data_folder"],
        listed,
        kept,
        skipped,
        converted,
        records or (),
        valid_is_held_out_of_train=held_out,
        audio=data.found and data.found.about,
        unknown_mids=unknown_mids,
        **notes,
    )
    manifests.write_tables(save_folder, kept, converted, data.classes)
    if records is not None:
        index = os.path.join(save_folder, shards.INDEX)
        write_json(index, shards.make_index(records))


if __name__ == "__main__":
    report_errors()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data_folder")
    parser.add_argument("save_folder")
    parser.add_argument("--valid_fraction", type=float, default=VALID_FRACTION)
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--num_workers", type=int)
    parser.add_argument("--unbalanced", action="store_true")
    parser.add_argument("--format", choices=STORAGE_FORMATS, default="flac")
    parser.add_argument("--clips_per_shard", type=int, default=1000)
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--test_fold")
    parser.add_argument("--cut_segments", choices=CUT_SEGMENTS, default="auto")
    parser.add_argument("--allow_missing", type=float, default=0.2)
    parser.add_argument("--part", metavar="I/N")
    prepare_audioset(**vars(parser.parse_args()))
