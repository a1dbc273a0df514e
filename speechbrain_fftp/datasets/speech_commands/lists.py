"""The folders, lists and splits of the Speech Commands data set.

One folder per word holds clips named ``SPEAKER_nohash_NUMBER.wav``. Two lists
say which are for validation and testing; the rule by which they were made keeps
the clips of a speaker together (https://arxiv.org/abs/1804.03209).

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import os
import posixpath

from speechbrain_fftp.datasets.audioset.layouts import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.own_sounds.splits import digest_of

COMMANDS = tuple("yes no up down left right on off stop go".split())
OTHER_WORDS = tuple(
    "backward bed bird cat dog eight five follow forward four happy house learn"
    " marvin nine one seven sheila six three tree two visual wow zero".split()
)
UNKNOWN, SILENCE = "_unknown_", "_silence_"
NOISE_FOLDER = "_background_noise_"
LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}
SPLITS = ("train", *LISTS)
PERCENT = 10  # of the speakers, to validate and to test
MAX_PER_CLASS = 2**27 - 1


def word_folders(data_folder, save_folder=None):
    """Lists the folders of words.

    Arguments
    ---------
    data_folder : str
        Folder with one folder per word. Names that begin with a dot are
        passed over.
    save_folder : str, optional
        Where results go: a folder which that lies in is none of them.

    Returns
    -------
    list of str
        Their names, sorted.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> for name in ("yes", "no", "results/save", ".git"):
    ...     _ = folder.join(name).ensure(dir=True)
    >>> word_folders(folder, folder / "results" / "save")
    ['no', 'yes']
    """
    save = os.path.join(os.path.realpath(save_folder or os.devnull), "")
    return sorted(
        entry.name
        for entry in os.scandir(data_folder)
        if entry.is_dir()
        and not entry.name.startswith(".")
        and not save.startswith(os.path.join(os.path.realpath(entry.path), ""))
    )


def fingerprint(data_folder, save_folder=None):
    """Sums up what is quickly seen of the data: its folders and lists.

    Arguments
    ---------
    data_folder : str
        The data folder, or an archive of which the size is seen.
    save_folder : str, optional
        Where results go, see ``word_folders``.

    Returns
    -------
    str or None
        Changes with what is seen; None if the archive is not there.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> before = fingerprint(folder)
    >>> folder.join("yes").ensure(dir=True).check(dir=True)
    True
    >>> before == fingerprint(folder)
    False
    """
    if not os.path.isdir(data_folder):
        there = os.path.isfile(data_folder)
        return f"{os.path.getsize(data_folder)} bytes" if there else None
    seen = [word_folders(data_folder, save_folder)]
    for name in LISTS.values():
        path = os.path.join(data_folder, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                seen.append((name, digest_of(file.read())))
    return digest_of(repr(seen))


def list_words(data_folder, save_folder=None):
    """Finds the clips in each folder of ``word_folders``.

    Arguments
    ---------
    data_folder : str
        Folder with one folder per word.
    save_folder : str, optional
        Where results go.

    Returns
    -------
    words : dict
        From folder to its clips: sorted paths within ``data_folder``, with
        ``/``.
    others : list of str
        The files in these folders that are not named like audio.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> for name in ("yes/a_nohash_0.wav", "yes/notes.txt", "LICENSE"):
    ...     _ = folder.join(name).ensure()
    >>> list_words(folder)
    ({'yes': ['yes/a_nohash_0.wav']}, ['yes/notes.txt'])
    """
    words, others = {}, []
    for word in word_folders(data_folder, save_folder):
        words[word] = []
        for folder, folders, files in os.walk(os.path.join(data_folder, word)):
            folders[:] = [f for f in folders if not f.startswith(".")]
            for name in files:
                if name.startswith("."):
                    continue
                path = os.path.relpath(os.path.join(folder, name), data_folder)
                is_audio = name.lower().endswith(AUDIO_EXTENSIONS)
                found = words[word] if is_audio else others
                found.append(path.replace(os.sep, "/"))
        words[word].sort()
    return words, sorted(others)


def speaker_of(path):
    """Finds the speaker of a clip in its name.

    Arguments
    ---------
    path : str
        ``WORD/SPEAKER_nohash_NUMBER.wav``; in the folder ``_unknown_``, the
        name begins with ``WORD_``.

    Returns
    -------
    speaker : str
        The speaker or, for another name, that name without its ending.
    is_known : bool
        Whether the name is of this form.

    Example
    -------
    >>> speaker_of("yes/0a7c2a8d_nohash_1.wav")
    ('0a7c2a8d', True)
    >>> speaker_of("_unknown_/bed_0a7c2a8d_nohash_1.wav")
    ('0a7c2a8d', True)
    >>> speaker_of("_silence_/12.wav")
    ('12', False)
    """
    folder, name = posixpath.split(path)
    name = posixpath.splitext(name)[0]
    speaker, mark, _ = name.partition("_nohash_")
    if mark and folder.split("/")[0] == UNKNOWN:
        speaker = speaker.partition("_")[2] or speaker
    return speaker, bool(mark)


def hash_split(speaker):
    """Gives a speaker a split, by the rule of the data set.

    Arguments
    ---------
    speaker : str
        The speaker, see ``speaker_of``.

    Returns
    -------
    str
        train (80 %), valid or test (10 % each).

    Example
    -------
    >>> [hash_split(speaker) for speaker in ("0a7c2a8d", "bob", "eve")]
    ['train', 'train', 'train']
    """
    digest = hashlib.sha1(speaker.encode("utf-8", "surrogateescape"))
    number = int(digest.hexdigest(), 16) % (MAX_PER_CLASS + 1)
    percentage = number * (100.0 / MAX_PER_CLASS)
    if percentage < PERCENT:
        return "valid"
    return "test" if percentage < 2 * PERCENT else "train"


def read_lists(data_folder):
    """Reads the lists of clips for validation and for testing.

    Arguments
    ---------
    data_folder : str
        Where they are.

    Returns
    -------
    lists : dict or None
        From split (valid, test) to the paths in its list; None if there is
        neither list.

    Raises
    ------
    ValueError
        If there is only one of them, or one is no text.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> read_lists(folder) is None
    True
    >>> folder.join("testing_list.txt").write("yes/a_nohash_0.wav")
    >>> folder.join("validation_list.txt").write("")
    >>> read_lists(folder)
    {'valid': [], 'test': ['yes/a_nohash_0.wav']}
    """
    paths = {s: os.path.join(data_folder, name) for s, name in LISTS.items()}
    missing = [path for path in paths.values() if not os.path.isfile(path)]
    if len(missing) == len(LISTS):
        return None
    if missing:
        raise ValueError(
            f"{missing[0]} is missing, but the other list is there: get it as"
            " well, or take the other away to have the clips split by speaker"
        )
    lists = {}
    for split, path in paths.items():
        try:
            with open(path, encoding="utf-8-sig") as file:
                lines = [line.strip().replace("\\", "/") for line in file]
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is no text in UTF-8: {error}")
        lists[split] = [posixpath.normpath(line) for line in lines if line]
    return lists


def split_clips(paths, lists=None):
    """Gives each clip its split.

    A list may name a clip with another ending than its file has, as after
    conversion from wav to flac. What both lists name is for testing.

    Arguments
    ---------
    paths : sequence of str
        The clips, as ``list_words`` gives them.
    lists : dict, optional
        What ``read_lists`` gave; without it, the split is ``hash_split`` of
        the speaker.

    Returns
    -------
    splits : dict
        From path to split.
    absent : dict
        From path to the reason, of those in a list which are not there.
    doubled : int
        How many are in both lists.

    Example
    -------
    >>> lists = {"valid": ["yes/b.wav"], "test": ["yes/c.wav", "no/a.wav"]}
    >>> splits, absent, doubled = split_clips(
    ...     ["yes/a.wav", "yes/c.flac"], lists
    ... )
    >>> splits
    {'yes/a.wav': 'train', 'yes/c.flac': 'test'}
    >>> absent["no/a.wav"], doubled
    ('listed in testing_list.txt, but not there', 0)
    """
    if lists is None:
        return {path: hash_split(speaker_of(path)[0]) for path in paths}, {}, 0
    stems = {path: posixpath.splitext(path)[0] for path in paths}
    listed, absent = {}, {}
    present = set(stems.values())
    for split, entries in lists.items():
        for entry in entries:
            stem = posixpath.splitext(entry)[0]
            listed.setdefault(stem, set()).add(split)
            if stem not in present:
                absent[entry] = f"listed in {LISTS[split]}, but not there"
    doubled = sum(len(splits) > 1 for splits in listed.values())
    # "test" comes before "valid"
    splits = {p: min(listed.get(s, {"train"})) for p, s in stems.items()}
    return splits, absent, doubled


def by_hash(paths):
    """Orders clips as if at random, but by nothing than their paths.

    Arguments
    ---------
    paths : iterable of str
        The clips.

    Returns
    -------
    list of str
        The same in another order.

    Example
    -------
    >>> by_hash(["a", "b", "c", "d"])
    ['d', 'c', 'a', 'b']
    """
    return sorted(paths, key=lambda path: (digest_of(path), path))


def classes_of_task(task, words, has_noise, data_folder):
    """Finds which folder is which class, or says what is missing.

    Arguments
    ---------
    task : str
        ``12``, ``35`` or ``folders``.
    words : dict
        From folder to its clips, without the background noise.
    has_noise : bool
        Whether there are recordings of background noise.
    data_folder : str
        Where all this was found, for the messages.

    Returns
    -------
    classes : list of str
        The classes, in their order.
    wanted : list of str
        Folders of which all clips are used, for the class of their name.
    pool : list of str
        Folders from which to choose clips of other words.

    Raises
    ------
    ValueError
        If a folder is missing or empty.

    Example
    -------
    >>> words = {"cat": ["cat/1.wav"], "dog": ["dog/1.wav"], "cow": []}
    >>> classes_of_task("folders", words, False, "data")
    (['cat', 'dog'], ['cat', 'dog'], [])
    """
    if task == "folders":
        classes = wanted = sorted(word for word in words if words[word])
        if len(classes) < 2:
            raise ValueError(
                f"{data_folder}: at least two folders with clips"
                f" ({', '.join(AUDIO_EXTENSIONS)}) are needed, found"
                f" {', '.join(classes) or 'none'}"
            )
        return classes, wanted, []
    if task == "35":
        classes = wanted = sorted(COMMANDS + OTHER_WORDS)
    else:
        classes = [*COMMANDS, UNKNOWN, SILENCE]
        wanted = [c for c in classes if c in COMMANDS or c in words]
    missing = [word for word in wanted if word not in words]
    if missing:
        raise ValueError(
            f"{data_folder} has no folder {', '.join(missing)}: add it, or use"
            " the task 'folders', in which each folder is a class"
        )
    empty = [word for word in wanted if not words[word]]
    if empty:
        raise ValueError(
            f"{data_folder}: no clip ({', '.join(AUDIO_EXTENSIONS)}) in the"
            f" folder {', '.join(empty)}: add some"
        )
    pool = []
    if task == "12" and UNKNOWN not in words:
        pool = [word for word in words if word not in wanted and words[word]]
        if not pool:
            raise ValueError(
                f"{data_folder} has no clips of other words, for the class"
                f" {UNKNOWN}: add folders of them, such as bed/, or one of that"
                " name; or use the task 'folders'"
            )
    if task == "12" and SILENCE not in words and not has_noise:
        raise ValueError(
            f"{data_folder} has nothing for the class {SILENCE}: add the folder"
            f" {NOISE_FOLDER} with recordings of noise, or {SILENCE} with"
            " clips; or use the task 'folders'"
        )
    return classes, wanted, pool
