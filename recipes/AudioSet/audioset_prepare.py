"""Prepares AudioSet: 16 kHz mono FLAC files and SpeechBrain manifests.

Two layouts of the data folder are understood:

* AudioSet's own lists (balanced_train_segments.csv, eval_segments.csv and, if
  there is one, valid_segments.csv) with one audio file per clip, audio/ID.flac
  (or wav, ogg, mp3), that begins with the segment;
* parquet shards with the columns video_id, audio and labels.

Both need class_labels_indices.csv, the list of classes. Without a validation
set, some of the training clips are held out for it.

Dataset: https://research.google.com/audioset

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import hashlib
import json
import os
import re
from collections import Counter

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audioset import (
    find_parquet_shards,
    iter_parquet_audio,
    read_class_list,
    read_parquet_segments,
    read_segments,
)
from speechbrain_fftp.dataio.convert import TREATMENTS, convert_clips
from speechbrain_fftp.dataio.files import write_csv, write_json

logger = get_logger(__name__)

SEGMENT_LISTS = {
    "train": "balanced_train_segments.csv",
    "valid": "valid_segments.csv",
    "eval": "eval_segments.csv",
}
SPLITS = tuple(SEGMENT_LISTS)
AUDIO_EXTENSIONS = (".flac", ".wav", ".ogg", ".mp3")
CLASS_LIST = "class_labels_indices.csv"
CSV_URL = "http://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv"
NOT_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|$\x00-\x1f]|\.\.|^$')


def prepare_audioset(
    data_folder,
    save_folder,
    valid_fraction=0.05,
    sample_rate=16000,
    num_workers=None,
    skip_prep=False,
):
    """Converts the clips once and writes the manifests of the recipe.

    Writes ``flac/ID.flac``, ``train.csv``, ``valid.csv`` and ``eval.csv`` (with
    paths relative to ``$data_root``, the save folder), ``classes.csv``,
    ``label_statistics.csv``, and ``prepare_report.json`` with what was counted
    and every clip that was skipped. Returns at once if the manifests are there;
    an interrupted preparation goes on where it stopped.

    Arguments
    ---------
    data_folder : str
        Folder with AudioSet in one of the two layouts (see above).
    save_folder : str
        Folder to write to.
    valid_fraction : float
        Part of the training clips to hold out if there is no validation set.
    sample_rate : int
        Sampling rate of the written files, in Hz.
    num_workers : int
        How many files to convert at a time, by default one per CPU.
    skip_prep : bool
        Whether to do nothing.

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
    source = {
        "data_folder": os.path.abspath(data_folder),
        "valid_fraction": valid_fraction,
        "sample_rate": sample_rate,
    }
    if _is_prepared(save_folder, source):
        logger.info("Using the data prepared in %s", save_folder)
        return

    classes = _read_classes(data_folder)
    listed, shards = _list_clips(data_folder)
    os.makedirs(os.path.join(save_folder, "flac"), exist_ok=True)
    write_json(os.path.join(save_folder, "source.json"), source)

    chosen, skipped, unknown_mids = _choose_clips(listed, classes)
    converted = {}
    for split, clips in chosen.items():
        if shards is None:
            iter_audio = functools.partial(_iter_audio_files, data_folder)
        else:
            iter_audio = functools.partial(iter_parquet_audio, shards[split])
        done, failed = convert_clips(
            {clip.id: clip.end - clip.start for clip in clips},
            iter_audio,
            os.path.join(save_folder, "flac"),
            sample_rate,
            num_workers,
            split,
        )
        converted.update(done)
        for clip_id, reason in failed.items():
            skipped.append({"id": clip_id, "split": split, "reason": reason})

    kept = {s: [c for c in chosen[s] if c.id in converted] for s in SPLITS}
    if "valid" not in listed:
        kept["train"], kept["valid"] = _hold_out(kept["train"], valid_fraction)

    counts = {}
    for split in SPLITS:
        treated = Counter(t for c in kept[split] for t in converted[c.id][1])
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
        "valid_is_held_out_of_train": "valid" not in listed,
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
        recorded = json.load(file)
    for key, value in source.items():
        if recorded.get(key) != value:
            raise ValueError(
                f"{save_folder} was prepared with {key}={recorded.get(key)!r},"
                f" not {value!r} (see {path}). Give another save folder, or"
                " delete this one to prepare it anew."
            )
    manifests = [os.path.join(save_folder, f"{split}.csv") for split in SPLITS]
    return all(os.path.isfile(manifest) for manifest in manifests)


def _read_classes(data_folder):
    """Reads the list of classes, whose names the manifests join with ';'."""
    if not os.path.isdir(data_folder):
        raise FileNotFoundError(f"data_folder {data_folder} does not exist")
    path = os.path.join(data_folder, CLASS_LIST)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{path} is missing: download it from {CSV_URL}/{CLASS_LIST}"
        )
    classes = read_class_list(path)
    for name in classes.values():
        if ";" in name or "$" in name:
            raise ValueError(
                f"{path}: rename '{name}', as ';' and '$' have a meaning of"
                " their own in the manifests"
            )
    return classes


def _list_clips(data_folder):
    """Lists the clips of each split, and the shards if they are in shards."""
    lists = {s: os.path.join(data_folder, SEGMENT_LISTS[s]) for s in SPLITS}
    audio_folder = os.path.join(data_folder, "audio")
    needed = (lists["train"], lists["eval"], audio_folder)
    missing = [path for path in needed if not os.path.exists(path)]
    shards = find_parquet_shards(data_folder)
    if not missing:
        origins = {s: p for s, p in lists.items() if os.path.isfile(p)}
        listed = {s: read_segments(path) for s, path in origins.items()}
        shards = None
    elif shards["train"] and shards["eval"]:
        origins = {s: paths for s, paths in shards.items() if paths}
        listed = {s: read_parquet_segments(p) for s, p in origins.items()}
    else:
        raise FileNotFoundError(
            f"{data_folder} has neither all of AudioSet's lists and audio"
            f" (missing: {', '.join(missing)}) nor parquet shards of both train"
            " and eval (such as data/bal_train/00.parquet)"
        )
    for split, clips in listed.items():
        if not clips:
            origin = origins[split]
            raise ValueError(f"The {split} split is empty: see {origin}")
    return listed, shards


def _choose_clips(listed, classes):
    """Takes every id once, those of eval before all, and only with a label."""
    chosen, skipped, unknown_mids = {}, [], Counter()
    split_of = {}
    for split in ("eval", "valid", "train"):
        chosen[split] = []
        for clip in listed.get(split, ()):
            unknown_mids.update(m for m in clip.mids if m not in classes)
            if NOT_IN_FILE_NAMES.search(clip.id):
                reason = "id cannot be a file name"
            elif split_of.get(clip.id) == split:
                reason = "duplicate"
            elif clip.id in split_of:
                reason = f"also in {split_of[clip.id]} and kept only there"
            elif not any(mid in classes for mid in clip.mids):
                reason = "no known label"
            else:
                split_of[clip.id] = split
                chosen[split].append(clip)
                continue
            skipped.append({"id": clip.id, "split": split, "reason": reason})
    return chosen, skipped, unknown_mids


def _iter_audio_files(data_folder, ids):
    """Gives the path of each clip's audio, or None where it is missing."""
    folder = os.path.join(data_folder, "audio")
    for clip_id in ids:
        paths = (os.path.join(folder, clip_id + e) for e in AUDIO_EXTENSIONS)
        yield clip_id, next(filter(os.path.isfile, paths), None)


def _hold_out(clips, fraction):
    """Parts the clips in two by a hash of their ids, the second not empty."""

    def position(clip):
        """Where in [0, 1) the hash of the id lies."""
        return int(hashlib.sha1(clip.id.encode()).hexdigest()[:8], 16) / 16**8

    limit = max(fraction, min(map(position, clips), default=0))
    rest = [clip for clip in clips if position(clip) > limit]
    return rest, [clip for clip in clips if position(clip) <= limit]


def _write_tables(save_folder, kept, converted, classes):
    """Writes classes and statistics, and then the manifests."""
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
        ]
        path = os.path.join(save_folder, f"{split}.csv")
        write_csv(path, ("ID", "duration", "wav", "labels"), rows)
