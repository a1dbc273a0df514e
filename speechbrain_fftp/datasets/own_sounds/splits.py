"""Deals clips to splits, and names them, by nothing but what they are.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import os
import re
from collections import Counter
from typing import NamedTuple, Tuple

# The order matters: a class of two clips has one to train and one to evaluate.
FRACTIONS = {"train": 0.7, "eval": 0.15, "valid": 0.15}
MAX_ID = 100


class OwnClip(NamedTuple):
    """A clip that was found.

    Arguments
    ---------
    path : str
        Its file, relative to the data folder, with ``/``.
    labels : tuple of str
        Its classes.
    split : str
        train, valid or eval; empty if it is not given.
    group : str
        What it shares with others of its split; empty if it is alone.

    Example
    -------
    >>> OwnClip("dog/1.wav", ("dog",)).split
    ''
    """

    path: str
    labels: Tuple[str, ...]
    split: str = ""
    group: str = ""


def deal_splits(clips):
    """Gives each clip a split, where its row does not.

    Those without one are dealt, about 70 % to train, 15 % to valid and 15 % to
    eval, with each class in all three if it has three clips. If all have
    one, and a split is nobody's, some of those to train are dealt to it. Clips
    of a group stay together, and count as one.

    Class by class, rare ones first, the groups not dealt before are taken in
    the order of their size and then of a hash of their name. Each goes to a
    split without the class or, if there is none, to the one that lacks the most
    clips of its share. Where clips have several labels, one may have ended up
    in two splits before its turn comes.

    Arguments
    ---------
    clips : list of OwnClip
        The clips.

    Returns
    -------
    list of str
        The split of each.

    Raises
    ------
    ValueError
        If clips of a group have different splits.

    Example
    -------
    >>> clips = [OwnClip(f"{i}.wav", ("dog",)) for i in range(20)]
    >>> sorted(Counter(deal_splits(clips)).items())
    [('eval', 3), ('train', 14), ('valid', 3)]
    >>> deal_splits([OwnClip("1.wav", ("dog",), "eval", "a"), clips[0]])
    ['eval', 'train']
    """
    groups, split_of = {}, {}
    for clip in clips:
        groups.setdefault(_group(clip), []).append(clip)
    for name, members in groups.items():
        given = sorted({clip.split for clip in members if clip.split})
        if len(given) > 1:
            raise ValueError(
                f"The group {name[1]!r} has clips in the splits"
                f" {' and '.join(given)}: it may be in one only"
            )
        if given:
            split_of[name] = given[0]
    to_deal = tuple(FRACTIONS)
    if len(split_of) == len(groups):
        given = set(split_of.values())
        to_deal = [s for s in FRACTIONS if s == "train" or s not in given]
        if len(to_deal) > 1:
            split_of = {n: s for n, s in split_of.items() if s != "train"}
    _deal(groups, split_of, to_deal)
    return [split_of.get(_group(clip), "train") for clip in clips]


def _group(clip):
    """What stays together: a group, or the clip alone."""
    return ("group", clip.group) if clip.group else ("path", clip.path)


def _deal(groups, split_of, to_deal):
    """Adds the splits of the other groups to those that are known."""
    names_of = {}
    for name, members in groups.items():
        for label in {label for clip in members for label in clip.labels}:
            names_of.setdefault(label, []).append(name)

    def place(name):
        """Large groups come first, and then the order is arbitrary."""
        return -len(groups[name]), digest_of(name[1]), name

    def rarity(label):
        """Classes that cannot be in all splits come last."""
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
                    to_deal,
                    key=lambda s: (not have[s], FRACTIONS[s] * total - have[s]),
                )
                have[split_of[name]] += len(groups[name])


def clip_ids(paths):
    """Makes paths names of files in one folder.

    They keep the path without its ending, in plain letters, digits, ``_`` and
    ``-``. Where this cuts a name, or several have the same (upper or lower
    case), a hash of the path is added.

    Arguments
    ---------
    paths : iterable of str
        The paths; those given twice count once.

    Returns
    -------
    dict
        From path to id.

    Example
    -------
    >>> list(clip_ids(["dog/1.wav", "dog/it barks!.wav", "dog 1.wav"]).values())
    ['dog_1-3fa291799751c061', 'dog_it_barks_', 'dog_1-a0600b84b6128e98']
    """
    names = {}
    for path in paths:
        stem = os.path.splitext(path)[0]
        names[path] = re.sub(r"[^A-Za-z0-9_-]+|^-", "_", stem)
    count = Counter(name.lower() for name in names.values())
    return {
        path: name
        if count[name.lower()] == 1 and len(name) <= MAX_ID
        else f"{name[:MAX_ID]}-{digest_of(path)[:16]}"
        for path, name in names.items()
    }


def digest_of(text):
    """Checksum of a text.

    Arguments
    ---------
    text : str
        The text; it may be a file name that is no text.

    Returns
    -------
    str
        Hexadecimal digits of its SHA-1.

    Example
    -------
    >>> digest_of("dog/1.wav")[:16]
    '3fa291799751c061'
    """
    return hashlib.sha1(text.encode("utf-8", "surrogateescape")).hexdigest()
