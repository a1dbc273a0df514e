"""Assigns custom clips to splits, deterministically and by group.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import Counter
from typing import NamedTuple, Tuple

from speechbrain_fftp.dataio.files import text_digest

# The order matters: of a class with two clips, one is for eval
FRACTIONS = {"train": 0.7, "eval": 0.15, "valid": 0.15}


class OwnClip(NamedTuple):
    """A clip of custom data.

    Its path is relative to the data folder, with ``/``. The split (train, valid
    or eval) is empty if it is not given; clips with the same group, unless it
    is empty, belong to the same split.
    """

    path: str
    labels: Tuple[str, ...]
    split: str = ""
    group: str = ""


def assign_splits(clips):
    """Assigns a split to each clip that has none; returns all splits.

    About 70 % go to train, 15 % to valid and 15 % to eval, and each class with
    three clips is in all three. If all clips have a split but valid or eval is
    empty, some of train are assigned to it. A group counts as one clip.

    Class by class, rare ones first, groups without a split are sorted by size
    and then by a checksum of their name. Each goes to a split without the class
    or else to the one that is furthest below its share. With several labels
    per clip, a class can have two splits before its turn comes.
    """
    groups, split_of = {}, {}
    for clip in clips:
        groups.setdefault(_group(clip), []).append(clip)
    for name, members in groups.items():
        given = sorted({clip.split for clip in members if clip.split})
        if len(given) > 1:
            raise ValueError(
                f"The group {name[1]!r} has clips in the splits"
                f" {' and '.join(given)}: give all its clips the same split"
            )
        if given:
            split_of[name] = given[0]
    targets = tuple(FRACTIONS)
    if len(split_of) == len(groups):
        given = set(split_of.values())
        targets = [s for s in FRACTIONS if s == "train" or s not in given]
        if len(targets) > 1:
            split_of = {n: s for n, s in split_of.items() if s != "train"}
    _assign(groups, split_of, targets)
    return [split_of.get(_group(clip), "train") for clip in clips]


def _group(clip):
    """Identifies the clips that stay together: a group, or one clip."""
    return ("group", clip.group) if clip.group else ("path", clip.path)


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
        total = sum(len(groups[name]) for name in names)
        have = Counter()
        for name in names:
            have[split_of.get(name)] += len(groups[name])
        for name in names:
            if name not in split_of:
                split_of[name] = max(
                    targets,
                    key=lambda s: (not have[s], FRACTIONS[s] * total - have[s]),
                )
                have[split_of[name]] += len(groups[name])
