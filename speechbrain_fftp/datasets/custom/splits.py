"""Assigns custom clips to splits, deterministically and by group.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
import re
import unicodedata
from collections import Counter
from typing import NamedTuple, Tuple

from speechbrain_fftp.dataio.files import file_sha256
from speechbrain_fftp.datasets.manifests import CLIP_SECONDS, SPLITS, Clip
from speechbrain_fftp.datasets.names import as_utf8, text_digest

logger = logging.getLogger(__name__)

# The order matters: of a class with two clips, one is for eval
FRACTIONS = {"train": 0.7, "eval": 0.15, "valid": 0.15}


class CustomClip(NamedTuple):
    """A clip of custom data; what is not given is empty."""

    path: str  # relative to the data folder, with ``/``
    labels: Tuple[str, ...]  # none for a clip of no class
    split: str = ""  # train, valid or eval
    group: str = ""  # of clips that belong to the same split
    fold: str = ""
    start: float = 0.0  # seconds
    end: float = 0.0  # 0.0: of the file

    @property
    def key(self):
        """Its path, with its times if it is a part of the file."""
        if self.end == 0:
            return self.path
        stem, extension = os.path.splitext(self.path)
        return f"{stem}_{self.start:g}-{self.end:g}{extension}"

    def to_clip(self, clip_id):
        """The ``Clip`` that is prepared: 10 s at most."""
        end = self.start + CLIP_SECONDS
        if self.end > 0:
            end = min(end, self.end)
        return Clip(clip_id, start=self.start, end=end, mids=self.labels)


def choose_fold(clips, test_fold, origin):
    """Puts one fold into eval and the others into train, if there are folds."""
    folds = sorted({clip.fold for clip in clips}, key=lambda f: (len(f), f))
    if test_fold is None and folds == [""]:
        return clips
    if str(test_fold) not in filter(None, folds):
        names = "no folds"
        if folds != [""]:
            names = f"the folds {', '.join(folds)}"
        raise ValueError(
            f"test_fold is {test_fold!r}, and {origin} has {names}: give the"
            " fold to evaluate on, as --test_fold K, or run all folds with"
            " recipes/AudioSet/cross_validate.py"
        )
    return [
        clip._replace(split="eval" if clip.fold == str(test_fold) else "train")
        for clip in clips
    ]


def split_custom_data(custom):
    """Assigns the clips of a CustomData to splits, copies to the same one.

    Returns the Clips of each split and a report of identical clips.
    """
    copies = find_copies(custom.folder, {clip.path for clip in custom.clips})
    splits = assign_splits(custom.clips, copies)
    missing = [split for split in SPLITS if split not in splits]
    if missing:
        raise ValueError(
            f"{custom.folder}: too few clips for the splits"
            f" {', '.join(missing)}. At least one class needs three clips (of"
            " three groups)."
        )
    listed = {split: [] for split in SPLITS}
    split_of = {}
    for clip, split in zip(custom.clips, splits):
        listed[split].append(clip.to_clip(custom.ids[clip.key]))
        split_of[clip.path] = split
    report = [
        {"paths": paths, "splits": [split_of[path] for path in paths]}
        for paths in copies
    ]
    number = sum(len(paths) - 1 for paths in copies)
    logger.info("%s: %d clips are copies of others", custom.folder, number)
    _warn_of_copies(custom, report)
    _warn_of_classes(custom, split_of)
    return listed, report


def find_copies(folder, paths):
    """Groups paths in a folder that have the same content."""
    files = {path: os.path.join(folder, path) for path in sorted(paths)}
    files = {path: file for path, file in files.items() if os.path.isfile(file)}
    by_size = {}
    for path, file in files.items():
        by_size.setdefault(os.path.getsize(file), []).append(path)
    by_content = {}
    for size, same_size in by_size.items():
        if len(same_size) > 1:
            for path in same_size:
                key = (size, file_sha256(files[path]))
                by_content.setdefault(key, []).append(path)
    return [same for same in by_content.values() if len(same) > 1]


def _warn_of_copies(custom, report):
    """Warns of identical clips in different splits."""
    leaks = []
    for copies in report:
        if len(set(copies["splits"])) > 1:
            pairs = zip(copies["paths"], copies["splits"])
            leaks.append(" = ".join(f"{as_utf8(p)} ({s})" for p, s in pairs))
    _warn(
        custom,
        leaks,
        "identical clips in different splits",
        remedy="remove the copies",
    )


def _warn_of_classes(custom, split_of):
    """Warns of classes without clips in a split, and of similar names."""
    counts = Counter()
    present = {split: set() for split in SPLITS}
    for clip in custom.clips:
        counts.update(set(clip.labels))
        present[split_of[clip.path]].update(clip.labels)
    for split, purpose in (("train", "to train on"), ("eval", "to score")):
        _warn(
            custom,
            [
                f"{name!r} (of {counts[name]})"
                for name in custom.classes
                if name not in present[split]
            ],
            f"classes without clips {purpose}",
            remedy="add clips, at least three of a class, or remove the class",
        )
    alike = {}
    for name in custom.classes:
        key = unicodedata.normalize("NFKC", name).casefold()
        alike.setdefault(re.sub(r"[\s_-]", "", key), []).append(name)
    _warn(
        custom,
        [" / ".join(map(repr, n)) for n in alike.values() if len(n) > 1],
        "classes with similar names",
        remedy="if they are one, use one name",
    )


def _warn(custom, names, problem, remedy):
    """Logs a problem with up to ten of its names, if there are any."""
    if not names:
        return
    if len(names) > 10:
        names = [*names[:10], "..."]
    logger.warning(
        f"{custom.folder}: {problem}: {'; '.join(names)}. Remedy: {remedy}"
    )


def assign_splits(clips, copies=()):
    """Assigns a split to each clip that has none; returns all splits.

    Each class with three clips is in all splits. If all clips have a split but
    valid or eval is empty, some of train are assigned to it. A group counts as
    one clip, and so do groups that ``copies``, lists of paths of the same
    content, connect, unless they have different splits already.

    Class by class, rare ones first, groups without a split are sorted by size
    and then by a checksum of their name. Each goes to a split without the class
    or else to the one that is furthest below its fraction.

    Raises
    ------
    ValueError
        If clips of a group have different splits.
    """
    split_of = {}  # of groups
    for clip in clips:
        group = _group(clip)
        given = split_of.setdefault(group, clip.split) or clip.split
        if clip.split not in ("", given):
            both = " and ".join(sorted((given, clip.split)))
            raise ValueError(
                f"The group {clip.group!r} has clips in the splits {both}: give"
                " all its clips the same split (or fold)"
            )
        split_of[group] = given
    representative = _connect(clips, copies, split_of)
    members = {}
    for clip in clips:
        members.setdefault(representative[_group(clip)], []).append(clip)
    split_of = {
        representative[group]: split
        for group, split in split_of.items()
        if split
    }
    targets = list(FRACTIONS)
    if len(split_of) == len(members):  # all are given
        given = set(split_of.values())
        targets = [s for s in FRACTIONS if s == "train" or s not in given]
        if len(targets) > 1:
            split_of = {g: s for g, s in split_of.items() if s != "train"}
    _assign(members, split_of, targets)
    return [
        split_of.get(representative[_group(clip)], "train") for clip in clips
    ]


def connected_groups(clips, copies):
    """For each clip, what stands for its group and those of its copies."""
    groups = dict.fromkeys(map(_group, clips), "")
    representative = _connect(clips, copies, groups)
    return ["/".join(representative[_group(clip)]) for clip in clips]


def _group(clip):
    """Identifies the clips that stay together: a group, or one clip."""
    return ("group", clip.group) if clip.group else ("path", clip.path)


def _connect(clips, copies, split_of):
    """Maps each group to the one that represents all that copies connect.

    Groups with different given splits are not connected.
    """
    group_of = {clip.path: _group(clip) for clip in clips}
    parent = {}

    def find_root(group):
        while group in parent:
            group = parent[group]
        return group

    for paths in copies:
        roots = {find_root(group_of[path]) for path in paths}
        root_of_split = {}
        # Those with a given split first: the others join the first of them
        for root in sorted(roots, key=lambda root: (not split_of[root], root)):
            split = split_of[root] or next(iter(root_of_split), "")
            first = root_of_split.setdefault(split, root)
            if first != root:
                parent[root] = first
    return {group: find_root(group) for group in split_of}


def _assign(members, split_of, targets):
    """Adds the splits of the remaining groups to the known ones."""
    groups_of = {}  # of each label
    for group, clips in members.items():
        labels = {label for clip in clips for label in clip.labels}
        if any(not clip.labels for clip in clips):
            labels.add("")  # as a class of their own
        for label in labels:
            groups_of.setdefault(label, []).append(group)

    def size_and_checksum(group):
        """Sorts large groups first, and equal ones by a checksum."""
        return -len(members[group]), text_digest(group[1]), group

    def rarity(label):
        """Sorts classes by size; those that cannot be in all splits last."""
        return len(groups_of[label]) < 3, len(groups_of[label]), label

    for label in sorted(groups_of, key=rarity):
        groups = sorted(groups_of[label], key=size_and_checksum)
        counts = Counter()  # clips of the class in each split
        for group in groups:
            counts[split_of.get(group)] += len(members[group])
        wanted = {s: FRACTIONS[s] * counts.total() for s in targets}
        for group in groups:
            if group not in split_of:
                needs = {
                    s: (not counts[s], wanted[s] - counts[s]) for s in targets
                }
                split_of[group] = max(targets, key=needs.get)
                counts[split_of[group]] += len(members[group])
