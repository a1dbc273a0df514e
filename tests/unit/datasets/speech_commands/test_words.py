"""Tests of finding, unpacking and splitting the clips of Speech Commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import io
import re
import tarfile

import numpy as np
import pytest

from speechbrain_fftp.datasets.speech_commands.lists import (
    COMMANDS,
    OTHER_WORDS,
    SILENCE,
    UNKNOWN,
    hash_split,
    list_words,
    read_lists,
    speaker_of,
    split_clips,
    task_classes,
    unpack_archive,
)


def official_split(name):
    """The rule in the data set's README, as it stands there."""
    hash_name = re.sub(r"_nohash_.*$", "", name)
    hashed = hashlib.sha1(hash_name.encode("utf-8")).hexdigest()
    percentage = (int(hashed, 16) % (2**27 - 1 + 1)) * (100.0 / (2**27 - 1))
    if percentage < 10:
        return "valid"
    return "test" if percentage < 20 else "train"


def test_hash_split_is_the_official_one():
    names = [f"{i:08x}_nohash_{i % 5}.wav" for i in range(0, 10**8, 49999)]
    splits = {name: official_split(name) for name in names}
    assert split_clips([f"yes/{name}" for name in names])[0] == {
        f"yes/{name}": split for name, split in splits.items()
    }
    found = list(splits.values())
    assert 0.08 < found.count("valid") / len(found) < 0.12
    assert 0.08 < found.count("test") / len(found) < 0.12


def test_one_speaker_has_one_split():
    for speaker in ("0a7c2a8d", "john_smith", "é"):
        names = ("yes/{}_nohash_0.wav", "no/{}_nohash_12.flac")
        names += ("_unknown_/bed_{}_nohash_3.wav",)
        found = {speaker_of(name.format(speaker)) for name in names}
        assert found == {(speaker, True)}
        assert hash_split(speaker) == official_split(f"{speaker}_nohash_0.wav")
    assert speaker_of("_unknown_/0a7c2a8d_nohash_0.wav")[0] == "0a7c2a8d"
    assert speaker_of("dog/my dog.wav") == ("my dog", False)
    assert speaker_of("_silence_/12.wav") == ("12", False)


def test_lists_come_before_the_hash(tmp_path):
    (tmp_path / "validation_list.txt").write_text(
        "\ufeffyes/a_nohash_0.wav\r\n\r\n./yes/both.wav\nno/gone.wav\n", "utf-8"
    )
    with pytest.raises(ValueError, match="testing_list.txt is missing"):
        read_lists(tmp_path)
    (tmp_path / "testing_list.txt").write_text("yes\\b.wav\nyes/both.wav")
    lists = read_lists(tmp_path)
    paths = ["yes/a_nohash_0.flac", "yes/b.wav", "yes/both.wav", "yes/c.wav"]
    splits, absent, doubled = split_clips(paths, lists)
    assert list(splits.values()) == ["valid", "test", "test", "train"]
    assert absent == {
        "no/gone.wav": "listed in validation_list.txt, but missing"
    }
    assert doubled == 1
    (tmp_path / "testing_list.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="testing_list.txt is not UTF-8"):
        read_lists(tmp_path)


def test_words_are_found(tmp_path):
    for name in (
        "yes/a.wav",
        "yes/deep/b.FLAC",
        "yes/.c.wav",
        "no/notes.txt",
        ".git/d.wav",
        "results/x/flac/e.wav",
        "LICENSE",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    words, others = list_words(tmp_path, tmp_path / "results" / "x")
    assert words == {"yes": ["yes/a.wav", "yes/deep/b.FLAC"], "no": []}
    assert others == ["no/notes.txt"]
    assert "results" in list_words(tmp_path)[0]


def test_classes_of_the_tasks():
    words = {word: [f"{word}/1.wav"] for word in sorted(COMMANDS + OTHER_WORDS)}
    extra = {**words, "tortoise": ["tortoise/1.wav"], "empty": []}
    classes, wanted, pool = task_classes("35", extra, False, "data")
    assert classes == wanted == sorted(words) and not pool
    classes, wanted, pool = task_classes("12", extra, True, "data")
    assert classes == [*COMMANDS, UNKNOWN, SILENCE]
    assert wanted == list(COMMANDS)
    assert sorted(pool) == sorted((*OTHER_WORDS, "tortoise"))
    own = {**words, UNKNOWN: ["1"], SILENCE: ["1"]}
    _, wanted, pool = task_classes("12", own, False, "data")
    assert wanted == classes and not pool
    classes, *_ = task_classes("folders", extra, False, "data")
    assert classes == sorted([*words, "tortoise"])


@pytest.mark.parametrize(
    "task, change, named",
    [
        ("35", {"bed": None}, "bed"),
        ("12", {"yes": []}, "yes"),
        ("12", {}, SILENCE),
        ("12", dict.fromkeys(OTHER_WORDS), UNKNOWN),
    ],
)
def test_what_is_missing_is_named(task, change, named):
    words = {word: ["1.wav"] for word in sorted(COMMANDS + OTHER_WORDS)}
    words.update(change)
    words = {word: clips for word, clips in words.items() if clips is not None}
    with pytest.raises(ValueError, match=named):
        task_classes(task, words, False, "data")


def write_archive(path, members):
    """Writes a tar.gz of names and contents (or TarInfo and None)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            if isinstance(name, tarfile.TarInfo):
                tar.addfile(name)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        ("../evil.wav", b"x"),
        ("yes/../../evil.wav", b"x"),
        (link("evil", "/etc", tarfile.SYMTYPE), None),
        (link("evil", "../x", tarfile.LNKTYPE), None),
        (link("evil", "", tarfile.FIFOTYPE), None),
    ],
)
def test_members_that_lead_elsewhere(tmp_path, member):
    archive = tmp_path / "words.tgz"
    write_archive(archive, [("yes/1.wav", b"1"), member, ("no/2.wav", b"2")])
    with pytest.raises(ValueError) as error:
        unpack_archive(archive, tmp_path / "save" / "unpacked")
    assert str(archive) in str(error.value) and "evil" in str(error.value)
    assert list((tmp_path / "save").iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


def test_damaged_archives(tmp_path):
    archive, folder = tmp_path / "words.tar.gz", tmp_path / "unpacked"
    rng = np.random.default_rng(0)
    members = [(f"yes/{i}.wav", rng.bytes(3000)) for i in range(6)]
    write_archive(archive, members)
    whole = archive.read_bytes()
    damaged = [whole[: int(part * len(whole))] for part in (0, 0.1, 0.5, 0.9)]
    for content in (*damaged, b"no archive"):
        archive.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be unpacked") as error:
            unpack_archive(archive, folder)
        assert str(archive) in str(error.value)
        assert [p.name for p in tmp_path.iterdir()] == ["words.tar.gz"]
    archive.write_bytes(whole)
    unpack_archive(archive, folder)
    assert len(list((folder / "yes").iterdir())) == 6
