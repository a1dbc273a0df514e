"""Assigns clips to splits and folds, deterministically and by group.

Clips of a group, such as those of a recording, are alike: a score is honest only
if none of a clip's group was learnt from.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
import warnings
from collections import Counter

import numpy as np

from fftp_tag.data.clips import PRECEDENCE
from fftp_tag.data.names import text_digest
from fftp_tag.errors import InputError
from fftp_tag.files import file_sha256

logger = logging.getLogger(__name__)

# For custom data. The order matters: a class with two clips has one in eval
FRACTIONS = {"train": 0.7, "eval": 0.15, "valid": 0.15}


def drop_copies(clips, folder):
    """Keeps one of several clips whose files have the same content.

    Returns them, and the ids, splits and reasons of skipped clips.
    """
    files = {clip.audio for clip in clips if os.path.isfile(clip.audio)}
    sizes = Counter(map(os.path.getsize, files))
    digests = {
        path: file_sha256(path)
        for path in files
        if sizes[os.path.getsize(path)] > 1
    }
    first_of = {}
    kept = []
    skipped = []
    conflicts = []
    for clip in sorted(clips, key=lambda clip: PRECEDENCE.index(clip.split)):
        content = digests.get(clip.audio, clip.audio)
        first = first_of.setdefault((content, clip.start, clip.end), clip)
        if first is clip:
            kept.append(clip)
        else:
            path = os.path.relpath(first.audio, folder)
            skipped.append(
                (clip.id, clip.split, f"copy: the same content as {path}")
            )
            if set(clip.labels) != set(first.labels):
                other = os.path.relpath(clip.audio, folder)
                conflicts.append(
                    f"{other} ({', '.join(clip.labels) or 'no class'}) and "
                    f"{path} ({', '.join(first.labels) or 'no class'})"
                )
    if skipped:
        logger.warning(
            "%s: skipped %d clips that are copies, such as %s (%s). Remove the"
            " copies; list a clip of several classes in clips.csv",
            folder,
            len(skipped),
            skipped[0][0],
            skipped[0][2],
        )
    if conflicts:
        logger.warning(
            "%s: %d copies have other labels, such as %s; the last is used",
            folder,
            len(conflicts),
            conflicts[0],
        )
    return kept, skipped


def choose_fold(clips, test_fold, folder):
    """Puts one fold into eval and the others into train, if there are folds."""
    folds = sorted({c.fold for c in clips if c.fold}, key=lambda f: (len(f), f))
    if test_fold is None and not folds:
        return clips
    if str(test_fold) not in folds:
        raise InputError(
            f"test_fold is {test_fold!r}, and {folder} has the folds"
            f" {', '.join(folds) or '(none)'}: give the fold to evaluate on, as"
            " --test_fold K"
        )
    return [
        clip._replace(split="eval" if clip.fold == str(test_fold) else "train")
        for clip in clips
    ]


def assign_splits(clips, folder):
    """Assigns a split to each clip that has none.

    Each class with at least three groups is in all splits. If all clips have a
    split but valid or eval is empty, clips of train are moved to it. Clips of a
    group share a split.

    Class by class, rare ones first, groups without a split are sorted by size
    and then by a checksum of their name. Each goes to a split without the class
    or else to the one that is furthest below its fraction.

    Raises
    ------
    InputError
        If clips of a group have different splits, or there are too few clips.
    """
    members = {}
    for clip in clips:
        members.setdefault(clip.group, []).append(clip)
    split_of = {}
    for group, of_group in members.items():
        given = sorted({clip.split for clip in of_group if clip.split})
        if len(given) > 1:
            raise InputError(
                f"{folder}: the group {group!r} has clips in the splits"
                f" {' and '.join(given)}: give all its clips the same split (or"
                " fold)"
            )
        if given:
            split_of[group] = given[0]
    targets = list(FRACTIONS)
    if len(split_of) == len(members):  # all are given
        used = set(split_of.values())
        targets = [s for s in FRACTIONS if s == "train" or s not in used]
        if len(targets) > 1:
            split_of = {g: s for g, s in split_of.items() if s != "train"}
    _assign_groups(members, split_of, targets)
    missing = [s for s in FRACTIONS if s not in split_of.values()]
    if missing:
        raise InputError(
            f"{folder}: too few clips for the splits {', '.join(missing)}. At"
            " least one class needs three clips (of three groups)."
        )
    return [c._replace(split=split_of[c.group]) for c in clips]


def _assign_groups(members, split_of, targets):
    """Adds the splits of the remaining groups to the known ones."""
    groups_of = {}  # of each label
    for group, clips in members.items():
        labels = {label for clip in clips for label in clip.labels}
        if any(not clip.labels for clip in clips):
            labels.add("")  # clips of no class are spread like a class
        for label in labels:
            groups_of.setdefault(label, []).append(group)

    def rarity(label):
        """Sorts classes by size, with classes too small for all splits last."""
        return len(groups_of[label]) < 3, len(groups_of[label]), label

    for label in sorted(groups_of, key=rarity):
        groups = sorted(
            groups_of[label], key=lambda g: (-len(members[g]), text_digest(g))
        )
        counts = Counter()  # clips of the class in each split
        for group in groups:
            counts[split_of.get(group)] += len(members[group])
        wanted = {s: FRACTIONS[s] * counts.total() for s in targets}
        for group in groups:
            if group not in split_of:
                split_of[group] = max(
                    targets,
                    key=lambda s: (not counts[s], wanted[s] - counts[s]),
                )
                counts[split_of[group]] += len(members[group])


def assign_folds(
    targets: np.ndarray, groups: list[str], max_folds: int = 5
) -> np.ndarray | None:
    """The fold of each clip, or None if folds are impossible.

    Folds have about the same classes; a clip of several counts for the rarest.

    Arguments
    ---------
    targets : numpy.ndarray
        Multi-hot labels ``[clips, C]``.
    groups : list of str
        The clips of a group stay in one fold.
    max_folds : int
    """
    from sklearn.model_selection import StratifiedGroupKFold

    counts = np.where(targets > 0.5, targets.sum(0), np.inf)
    # Clips without a class are one of their own
    classes = np.where(targets.any(1), counts.argmin(1), targets.shape[1])
    n_folds = min(max_folds, len(set(groups)), np.bincount(classes).max())
    if n_folds < 2:
        return None
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    folds = np.zeros(len(classes), int)
    with warnings.catch_warnings():  # learn warns of classes of few clips
        warnings.filterwarnings("ignore", "The least populated class")
        splits = list(splitter.split(classes, classes, groups))
    for fold, (_, rows) in enumerate(splits):
        folds[rows] = fold
    return folds
