"""Tests of finding, splitting, checking and unpacking spoken words.

Authors
 * The speechbrain_fftp authors 2026
"""

import gzip
import hashlib
import io
import re
import tarfile

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets.speech_commands.archives import unpack_archive
from speechbrain_fftp.datasets.speech_commands.background import (
    cut_silence,
    recording_part,
)
from speechbrain_fftp.datasets.speech_commands.clips import (
    usable_seconds,
    use_or_convert,
)
from speechbrain_fftp.datasets.speech_commands.lists import (
    SILENCE,
    UNKNOWN,
    hash_split,
    list_words,
    read_lists,
    speaker_of,
    split_clips,
)
from speechbrain_fftp.datasets.speech_commands.tasks import (
    COMMANDS,
    OTHER_WORDS,
    task_classes,
)


def official_split(name):
    """The rule in the data set's README, as it stands there."""
    hash_name = re.sub(r"_nohash_.*$", "", name)
    hashed = hashlib.sha1(hash_name.encode("utf-8")).hexdigest()
    percentage = (int(hashed, 16) % (2**27 - 1 + 1)) * (100.0 / (2**27 - 1))
    if percentage < 10:
        return "valid"
    return "test" if percentage < 20 else "train"


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


def test_words_are_the_35():
    assert len(COMMANDS) == 10
    assert len(set(COMMANDS) | set(OTHER_WORDS)) == 35


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
    "task, change, message",
    [
        ("35", {"bed": None, "cat": None}, "no folder bed, cat: .* 'folders'"),
        ("35", {"bed": []}, "no clips .* in the folder bed"),
        ("12", {"yes": None}, "no folder yes"),
        ("12", {"yes": []}, "no clips .* in the folder yes"),
        ("12", {SILENCE: []}, "no clips .* in the folder _silence_"),
        ("12", {}, "no clips for the class _silence_: .*_background_noise_"),
        ("12", dict.fromkeys(OTHER_WORDS), "class _unknown_: .*bed/"),
        ("folders", "alone", "at least two folders"),
    ],
)
def test_what_is_missing_is_named(task, change, message):
    words = {word: ["1.wav"] for word in sorted(COMMANDS + OTHER_WORDS)}
    if change == "alone":
        words = {"dog": ["1.wav"], "cat": []}
    else:
        words.update(change)
    words = {word: clips for word, clips in words.items() if clips is not None}
    with pytest.raises(ValueError, match=message):
        task_classes(task, words, False, "data")


def test_whole_and_damaged_clips(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.5, 0.5, 16000)
    for name in ("a.wav", "a.flac", "a.ogg"):
        sf.write(tmp_path / name, noise, 16000)
    assert usable_seconds(tmp_path / "a.wav") == 1.0
    assert usable_seconds(tmp_path / "a.flac") == 1.0
    assert usable_seconds(tmp_path / "a.ogg") is None  # to be converted
    assert usable_seconds(tmp_path / "a.wav", max_seconds=0.9) is None
    wav = (tmp_path / "a.wav").read_bytes()
    flac = (tmp_path / "a.flac").read_bytes()
    piped = wav[:40] + b"\xff\xff\xff\xff" + wav[44:]
    (tmp_path / "piped.wav").write_bytes(piped)
    assert usable_seconds(tmp_path / "piped.wav") == 1.0
    damaged = {
        "cut.wav": (wav[:-2], "truncated: 31998 of 32000 bytes"),
        "cut.flac": (flac[: len(flac) // 2], "truncated"),
        "head.wav": (wav[:30], "unreadable or truncated"),
        "zero.wav": (b"", "empty file"),
        "text.wav": (b"no audio at all", "unreadable or truncated"),
    }
    for name, (content, message) in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            usable_seconds(tmp_path / name)
    sf.write(tmp_path / "none.wav", np.zeros(0), 16000)
    sf.write(tmp_path / "short.wav", np.zeros(399), 16000)
    sf.write(tmp_path / "nan.wav", [np.nan] * 800, 16000, subtype="FLOAT")
    for name, message in (
        ("none.wav", "empty file"),
        ("short.wav", "shorter than 25 ms"),
        ("nan.wav", "not finite"),
        ("absent.wav", "no regular file"),
    ):
        with pytest.raises(ValueError, match=message):
            usable_seconds(tmp_path / name)


def test_clips_are_converted_once(tmp_path):
    t = np.arange(44100) / 44100
    tone = np.sin(2 * np.pi * 1000 * t) / 2
    sf.write(tmp_path / "stereo.wav", np.stack([tone, tone], 1), 44100)
    sf.write(tmp_path / "a$b.wav", tone[:8000], 16000)
    sf.write(tmp_path / "fits.wav", tone[:8000], 16000)
    ids = {"stereo.wav": "s", "a$b.wav": "d", "fits.wav": "f", "no.wav": "n"}
    flac = tmp_path / "flac"
    expected = {
        "fits.wav": (0.5, None),
        "stereo.wav": (1.0, ["downmixed", "resampled"]),
        "a$b.wav": (0.5, []),
    }
    for _ in range(2):
        usable, failed = use_or_convert(tmp_path, ids, flac)
        assert (usable, failed) == (expected, {"no.wav": "no regular file"})
    samples, rate = sf.read(flac / "s.flac")
    assert rate == 16000 and samples.shape == (16000,)
    assert np.abs(np.fft.rfft(samples)).argmax() == 1000
    before = (flac / "s.flac").stat().st_mtime_ns
    use_or_convert(tmp_path, ids, flac)
    assert (flac / "s.flac").stat().st_mtime_ns == before


def test_silence_of_splits_is_disjoint():
    samples = np.arange(1, 80001.0)
    places = {}
    for split in ("train", "valid", "test"):
        cuts = [cut_silence({"a": samples}, split, i, 4000) for i in range(30)]
        assert {len(cut) for cut in cuts} == {4000}
        volumes = [np.diff(cut).mean() for cut in cuts]  # of a ramp
        assert 0 < min(volumes) < 0.3 and 0.7 < max(volumes) < 1
        firsts = [round(cut[0] / v) for cut, v in zip(cuts, volumes)]
        assert len(set(firsts)) > 20
        places[split] = min(firsts), max(firsts) + 4000
        again = cut_silence({"a": samples}, split, 7, 4000)
        np.testing.assert_array_equal(again, cuts[7])
    assert 1 <= places["train"][0] and places["train"][1] <= 56001
    assert 56001 <= places["valid"][0] and places["valid"][1] <= 68001
    assert 68001 <= places["test"][0] and places["test"][1] <= 80001
    parts = [recording_part(samples, split) for split in places]
    np.testing.assert_array_equal(np.concatenate(parts), samples)
    short = cut_silence({"a": samples[:10000]}, "test", 0, 4000)
    assert len(short) == 1500


def test_archive_is_unpacked_once(tmp_path):
    archive, folder = tmp_path / "words.tar.gz", tmp_path / "unpacked"
    write_archive(archive, [("./yes/1.wav", b"1"), ("./no/2.wav", b"2")])
    assert unpack_archive(archive, folder) == folder
    assert (folder / "yes" / "1.wav").read_bytes() == b"1"
    before = folder.stat().st_mtime_ns
    archive.unlink()
    unpack_archive(archive, folder)  # it is not needed any more
    assert folder.stat().st_mtime_ns == before
    with pytest.raises(FileNotFoundError, match="words.tar.gz"):
        unpack_archive(archive, tmp_path / "other")
    assert [p.name for p in tmp_path.iterdir()] == ["unpacked"]
    members = [(f"v2/{word}/1.wav", b"3" * 100) for word in ("yes", "no")]
    write_archive(archive, members)
    content = unpack_archive(archive, tmp_path / "other")
    assert content == str(tmp_path / "other" / "v2")


@pytest.mark.parametrize(
    "member, reason",
    [
        (("../evil.wav", b"x"), "out of the folder"),
        (("yes/../../evil.wav", b"x"), "out of the folder"),
        (("/tmp/evil.wav", b"x"), "absolute"),
        (("C:\\evil.wav", b"x"), "absolute"),
        ((link("evil", "/etc", tarfile.SYMTYPE), None), "link"),
        ((link("evil", "../..", tarfile.SYMTYPE), None), "link"),
        ((link("evil", "../x", tarfile.LNKTYPE), None), "link"),
        ((link("evil", "", tarfile.FIFOTYPE), None), "device"),
    ],
)
def test_members_that_lead_elsewhere(tmp_path, member, reason):
    archive = tmp_path / "words.tgz"
    write_archive(archive, [("yes/1.wav", b"1"), member, ("no/2.wav", b"2")])
    with pytest.raises(ValueError, match=reason) as error:
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
    plain = gzip.decompress(whole)
    damaged = [
        whole[: int(part * len(whole))] for part in np.arange(0, 1, 0.05)
    ]
    damaged += [whole[:-1], whole[:-9], b"no archive", plain]
    # A tar that was cut before it was compressed, within and between members
    ends = [k * 512 * 7 for k in range(1, 7)] + [5000, 8000]
    damaged += [gzip.compress(plain[:end]) for end in ends]
    for place in (512 * 7 + 10, len(whole) // 2):  # header, content
        flipped = bytearray(plain if place < 5000 else whole)
        flipped[place] ^= 255
        content = bytes(flipped)
        damaged.append(gzip.compress(content) if place < 5000 else content)
    for content in damaged:
        archive.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be unpacked") as error:
            unpack_archive(archive, folder)
        assert str(archive) in str(error.value)
        assert [p.name for p in tmp_path.iterdir()] == ["words.tar.gz"]
    archive.write_bytes(whole)
    unpack_archive(archive, folder)
    assert len(list((folder / "yes").iterdir())) == 6
