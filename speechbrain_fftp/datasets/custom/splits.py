"""Assigns custom clips to splits, deterministically and by group.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
import unicodedata
from collections import Counter
from typing import NamedTuple, Tuple

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.datasets.audioset.layouts import AUDIOSET_SPLITS
from speechbrain_fftp.datasets.audioset.lists import Segment
from speechbrain_fftp.datasets.batches import count_labels
from speechbrain_fftp.datasets.custom.copies import find_copies
from speechbrain_fftp.datasets.names import as_utf8, text_digest

logger = get_logger(__name__)

# The order matters: of a class with two clips, one is for eval
FRACTIONS = {"train": 0.7, "eval": 0.15, "valid": 0.15}


class CustomClip(NamedTuple):
    """A clip of custom data; what is not given is empty."""

    path: str  # relative to the data folder, with ``/``
    labels: Tuple[str, ...]
    split: str = ""  # train, valid or eval
    group: str = ""  # of clips that belong to the same split
    fold: str = ""


def choose_fold(clips, test_fold, origin):
    """Puts one fold into eval and the others into train, if there are folds."""
    folds = sorted({clip.fold for clip in clips}, key=lambda f: (len(f), f))
    if test_fold is None and folds == [""]:
        return clips
    if str(test_fold) not in filter(None, folds):
        raise ValueError(
            f"test_fold is {test_fold!r}, and {origin} has"
            f" {'the folds ' + ', '.join(folds) if folds[-1] else 'no folds'}:"
            " give the fold to evaluate on, as --test_fold K, or run all folds"
            " with recipes/AudioSet/cross_validate.py"
        )
    splits = {str(test_fold): "eval"}
    return [c._replace(split=splits.get(c.fold, "train")) for c in clips]


def split_custom_data(own):
    """Assigns custom clips to splits, identical ones to the same one.

    Returns the Segments of each split and a report of identical clips.
    """
    copies = find_copies(own.folder, own.ids)
    splits = assign_splits(own.clips, copies)
    missing = [split for split in AUDIOSET_SPLITS if split not in splits]
    if missing:
        raise ValueError(
            f"{own.folder}: too few clips for the splits {', '.join(missing)}."
            " At least one class needs three clips (of three groups)."
        )
    listed, split_of = {split: [] for split in AUDIOSET_SPLITS}, {}
    for clip, split in zip(own.clips, splits):
        listed[split].append(Segment(own.ids[clip.path], mids=clip.labels))
        split_of[clip.path] = split
    report, leaks = [], []
    for paths in copies:
        report.append({"paths": paths, "splits": [split_of[p] for p in paths]})
        if len(set(report[-1]["splits"])) > 1:
            names = (f"{as_utf8(path)} ({split_of[path]})" for path in paths)
            leaks.append(" = ".join(names))
    number = sum(map(len, copies)) - len(copies)
    logger.info("%s: %d clips are copies of others", own.folder, number)
    _warn_of_doubts(own, split_of, leaks)
    return listed, report


def _warn_of_doubts(own, split_of, leaks):
    """Warns of leaks, of classes without clips, and of similar names."""
    count, alike = count_labels(clip.labels for clip in own.clips), {}

    def lost(split):
        """Classes without clips in a split."""
        clips = (clip for clip in own.clips if split_of[clip.path] == split)
        there = count_labels(clip.labels for clip in clips)
        names = (name for name in own.classes if not there[name])
        return [f"{name!r} (of {count[name]})" for name in names]

    for name in own.classes:
        key = unicodedata.normalize("NFKC", name).casefold()
        alike.setdefault(re.sub(r"[\s_-]", "", key), []).append(name)
    alike = [" / ".join(map(repr, n)) for n in alike.values() if len(n) > 1]
    more = "add clips, at least three of a class, or remove the class"
    for found, doubt, remedy in (
        (leaks, "identical clips in different splits", "remove the copies"),
        (lost("train"), "classes without clips to train on", more),
        (lost("eval"), "classes without clips to score", more),
        (alike, "classes with similar names", "if they are one, use one name"),
    ):
        if found:
            names = "; ".join([*found[:10], *["..."] * (len(found) > 10)])
            text = "%s: %s: %s. Remedy: %s"
            logger.warning(text, own.folder, doubt, names, remedy)


def assign_splits(clips, copies=()):
    """Assigns a split to each clip that has none; returns all splits.

    Each class with three clips is in all splits. If all clips have a split but
    valid or eval is empty, some of train are assigned to it. A group counts as
    one clip, and so do groups that ``copies``, lists of paths of the same
    content, connect, unless they have different splits already.

    Class by class, rare ones first, groups without a split are sorted by size
    and then by a checksum of their name. Each goes to a split without the class
    or else to the one that is furthest below its share.
    """
    split_of, groups = {}, {}
    for clip in clips:
        given = split_of.setdefault(_group(clip), clip.split) or clip.split
        if clip.split not in ("", given):
            both = " and ".join(sorted((given, clip.split)))
            raise ValueError(
                f"The group {clip.group!r} has clips in the splits {both}: give"
                " all its clips the same split (or fold)"
            )
        split_of[_group(clip)] = given
    first = _connect(clips, copies, split_of)
    for clip in clips:
        groups.setdefault(first[_group(clip)], []).append(clip)
    split_of = {first[n]: split for n, split in split_of.items() if split}
    targets = tuple(FRACTIONS)
    if len(split_of) == len(groups):
        given = set(split_of.values())
        targets = [s for s in FRACTIONS if s == "train" or s not in given]
        if len(targets) > 1:
            split_of = {n: s for n, s in split_of.items() if s != "train"}
    _assign(groups, split_of, targets)
    return [split_of.get(first[_group(clip)], "train") for clip in clips]


def _group(clip):
    """Identifies the clips that stay together: a group, or one clip."""
    return ("group", clip.group) if clip.group else ("path", clip.path)


def _connect(clips, copies, split_of):
    """Maps each group to the first of those that copies connect it with.

    Groups with different given splits are not connected.
    """
    group_of, above = {clip.path: _group(clip) for clip in clips}, {}

    def first(group):
        while group in above:
            group = above[group]
        return group

    for paths in copies:
        tops, home = {first(group_of[path]) for path in paths}, {}
        for top in sorted(tops, key=lambda top: (not split_of[top], top)):
            split = split_of[top] or next(iter(home), "")
            if home.setdefault(split, top) != top:
                above[top] = home[split]
    return {group: first(group) for group in split_of}


def _assign(groups, split_of, targets):
    """Adds the splits of the remaining groups to the known ones."""
    names_of = {}
    for name, members in groups.items():
        for label in {label for clip in members for label in clip.labels}:
            names_of.setdefault(label, []).append(name)

    def place(name):
        """Sorts large groups first, and equal ones by a checksum."""
        return -len(groups[name]), text_digest(name[1]), name

    def rarity(label):
        """Sorts classes by size; those that cannot be in all splits last."""
        return len(names_of[label]) < 3, len(names_of[label]), label

    for label in sorted(names_of, key=rarity):
        names = sorted(names_of[label], key=place)
        have = Counter()
        for name in names:
            have[split_of.get(name)] += len(groups[name])
        full = {s: FRACTIONS[s] * have.total() for s in targets}
        for name in (name for name in names if name not in split_of):
            needed = {s: (not have[s], full[s] - have[s]) for s in targets}
            split_of[name] = max(targets, key=needed.get)
            have[split_of[name]] += len(groups[name])
