"""Chooses the clips of each split, and writes audio, manifests and report.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import os
import re
from collections import Counter

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import write_csv, write_json
from speechbrain_fftp.datasets.audioset.layouts import cut_jobs
from speechbrain_fftp.datasets.audioset.shard_reader import iter_audio
from speechbrain_fftp.datasets.audioset.shards import write_shards
from speechbrain_fftp.datasets.convert import TREATMENTS, convert_clips
from speechbrain_fftp.datasets.names import hash_fraction

logger = get_logger(__name__)

REPORT = "prepare_report.json"
# File systems allow 255, and .flac.01234567.tmp is added
MAX_NAME_BYTES = 235
NOT_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|$\x00-\x1f]|\.\.|^$')


def choose_clips(listed, classes):
    """Keeps each clip once, with eval before valid before train.

    Returns the clips of each split, the skipped ones (dicts with id, split and
    reason), and a Counter of mids that are not among the classes.
    """
    chosen, skipped, unknown_mids, split_of = {}, [], Counter(), {}
    for split in ("eval", "valid", "train"):
        chosen[split] = []
        for clip in listed.get(split, ()):
            unknown_mids.update(m for m in clip.mids if m not in classes)
            too_long = len(clip.id.encode()) > MAX_NAME_BYTES
            if too_long or NOT_IN_FILE_NAMES.search(clip.id):
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


def hold_out(clips, fraction):
    """Moves clips of train to valid, at least one, by a hash of their ids."""
    places = [hash_fraction(clip.id) for clip in clips["train"]]
    limit = max(fraction, min(places, default=0))
    parts = {"train": [], "valid": []}
    for clip, place in zip(clips["train"], places):
        parts["valid" if place <= limit else "train"].append(clip)
    return {**clips, **parts}


def convert_splits(
    clips, data, save_folder, settings, num_workers, clips_per_shard, share
):
    """Writes the audio of each split: ``flac/ID.flac`` or shards of train.

    With a share of (i, n), only every nth file or shard from the ith on.
    Returns duration and treatments of each file, the reason of each clip that
    failed, and the records of the shards or None.
    """
    rate = settings["sample_rate"]
    always = settings.get("cut_segments") == "yes"
    folder = os.path.join(save_folder, "flac")
    os.makedirs(folder, exist_ok=True)
    converted, failed, records = {}, {}, None
    for split, chosen in clips.items():
        audio = data.audio.get(split, data.audio["train"])
        if split == "train" and settings["format"] == "webdataset":
            jobs = cut_jobs(chosen, audio, clips_per_shard)
            how = data.classes, rate, num_workers, always, share
            records = write_shards(jobs, save_folder, *how)
            for record in records:
                failed.update((c["id"], c["reason"]) for c in record["skipped"])
            continue
        own = chosen[share[0] :: share[1]]
        parts = {clip.id: (clip.end - clip.start, clip.start) for clip in own}
        how = rate, num_workers, split, always
        read = functools.partial(iter_audio, audio)
        done, reasons = convert_clips(parts, read, folder, *how)
        converted.update(done)
        failed.update(reasons)
    return converted, failed, records


def write_report(
    save_folder, data_folder, listed, kept, skipped, converted, records, **more
):
    """Counts clips, treatments and reasons; writes and logs the counts.

    ``converted`` and ``records`` are those of ``convert_splits``; ``more`` goes
    into the report. A split without clips is an error.
    """
    splits = {}
    for split, clips in kept.items():
        treated = Counter()
        for clip in clips:
            treated.update(converted.get(clip.id, (0, ()))[1])
        for record in records if split == "train" else ():
            treated.update(record["treatments"])
        splits[split] = {
            "listed": len(listed.get(split, ())),
            "written": len(clips),
            "skipped": sum(clip["split"] == split for clip in skipped),
            **{name: treated[name] for name in TREATMENTS},
        }
    reasons = Counter(clip["reason"].split(":")[0] for clip in skipped)
    last = {"skipped_reasons": reasons, "skipped": skipped}
    path, summary = os.path.join(save_folder, REPORT), _counted(reasons)
    write_json(path, {"splits": splits, **more, **last})
    for split in kept:
        if not kept[split]:
            raise ValueError(
                f"No clip is left for the {split} split of {data_folder};"
                f" skipped: {summary}. All skipped clips are in {path}: repair"
                " the data and prepare again."
            )
    sizes = {split: len(clips) for split, clips in kept.items()}
    logger.info("Clips in %s: %s", save_folder, _counted(sizes))
    if more["audio"]:
        names = _counted(more["audio"]["names"])
        logger.info("Names of audio files: %s; see %s", names, path)
    if cut := sum(about["cut"] for about in splits.values()):
        logger.info("%d clips were cut out of whole recordings", cut)
    if skipped:
        logger.warning("Skipped clips: %s; see %s", summary, path)
    if near := more.get("near_duplicates"):
        pairs = ", ".join(" = ".join(pair["ids"]) for pair in near[:3])
        logger.warning(
            f"{len(near)} pairs of clips in different splits sound the same:"
            f" {pairs} (see near_duplicates in {path}). If they are copies,"
            " remove one of each, or give them a group in clips.csv"
        )


def _counted(counts):
    """Such as "3 ID, 1 YID"; "none" without any."""
    return ", ".join(f"{n} {what}" for what, n in counts.items()) or "none"


def write_tables(save_folder, kept, converted, classes):
    """Writes classes, statistics and the manifests of single files."""
    path = os.path.join(save_folder, "classes.csv")
    rows = [(i, *entry) for i, entry in enumerate(classes.items())]
    write_csv(path, ("index", "mid", "display_name"), rows)

    path = os.path.join(save_folder, "label_statistics.csv")
    counts = [Counter(m for c in kept[s] for m in c.mids) for s in kept]
    rows = [(m, name, *(c[m] for c in counts)) for m, name in classes.items()]
    write_csv(path, ("mid", "label", *kept), rows)

    for split, clips in kept.items():
        path, rows = os.path.join(save_folder, f"{split}.csv"), []
        for clip in (clip for clip in clips if clip.id in converted):
            labels = ";".join(classes[m] for m in clip.mids if m in classes)
            wav = f"$data_root/flac/{clip.id}.flac"
            rows.append((clip.id, converted[clip.id][0], wav, labels))
        if rows:
            write_csv(path, ("ID", "duration", "wav", "labels"), rows)
