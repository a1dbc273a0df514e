"""Tests of listing custom data: folders, tables, those of published sets.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import os
import re

import soundfile as sf

from fftp_tag.data.custom import list_clips
from fftp_tag.data.names import clip_ids


def write(folder, name, *lines):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8-sig")


def touch(folder, *paths):
    for path in paths:
        write(folder, path)
    return folder


def rows_of(folder):
    """Path, labels and split of each clip."""
    return [
        (os.path.relpath(clip.audio, folder), clip.labels, clip.split)
        for clip in list_clips(folder).clips
    ]


def test_class_folders(tmp_path):
    touch(tmp_path, "dog/1.WAV", "dog/far/away/2.flac", "cat/.3.wav", "x.wav")
    touch(tmp_path, "cat/4.ogg", "cat/notes.txt", ".git/5.wav", "cat/.t/6.wav")
    touch(tmp_path, "Background/1.wav", "__MACOSX/cat/4.ogg")
    touch(tmp_path, "dog/old/prepared.json", "dog/old/wav/train-0000.wav")
    (tmp_path / "cat" / "all").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(touch(tmp_path / ".x", "7.mp3"))
    assert rows_of(tmp_path) == [
        ("Background/1.wav", (), ""),
        ("cat/4.ogg", ("cat",), ""),
        ("dog/1.WAV", ("dog",), ""),
        ("dog/far/away/2.flac", ("dog",), ""),
        ("linked/7.mp3", ("linked",), ""),
    ]
    assert list(list_clips(tmp_path).classes) == ["cat", "dog", "linked"]


def test_folders_of_splits(tmp_path):
    touch(tmp_path, "train/dog/1.wav", "train/cat/a/2.wav", "val/cat/4.wav")
    touch(tmp_path, "test/dog/3.wav", "test/background/5.wav")
    assert rows_of(tmp_path) == [
        ("test/background/5.wav", (), "eval"),
        ("test/dog/3.wav", ("dog",), "eval"),
        ("train/cat/a/2.wav", ("cat",), "train"),
        ("train/dog/1.wav", ("dog",), "train"),
        ("val/cat/4.wav", ("cat",), "valid"),
    ]


def test_folders_inside_are_groups(tmp_path):
    """One recording may have several classes, but is not in several splits."""
    touch(tmp_path / "a", "dog/1.wav", "dog/day/1.wav", "cat/day/sub/1.wav")
    touch(tmp_path / "a", "cat/day/1.wav", "cat/2.wav")
    groups = {x.id: x.group for x in list_clips(tmp_path / "a").clips}
    assert sorted(groups.values()) == [
        "cat/2.wav",
        "day",
        "day",
        "day/sub",
        "dog/1.wav",
    ]
    touch(tmp_path / "b", "train/dog/1/x.wav", "train/cat/1/y.wav")
    touch(tmp_path / "b", "test/dog/1/z.wav")
    found = list_clips(tmp_path / "b").clips
    assert {(x.split, x.group) for x in found} == {
        ("train", "train/1"),
        ("eval", "test/1"),
    }


def test_a_train_is_a_sound(tmp_path):
    touch(tmp_path, "train/1.wav", "dog/1.wav")
    assert rows_of(tmp_path) == [
        ("dog/1.wav", ("dog",), ""),
        ("train/1.wav", ("train",), ""),
    ]


def parts_of(folder, **options):
    """Path, start, end and labels of each clip."""
    return [
        (os.path.relpath(x.audio, folder), x.start, x.end, x.labels)
        for x in list_clips(folder, 1, **options).clips
    ]


def test_recordings_with_label_tracks_beside_them(tmp_path, caplog):
    touch(tmp_path, "dog/1.wav", "yard/unlabelled.wav")
    sf.write(tmp_path / "yard" / "day.wav", [0.0] * 20 * 1000, 1000)
    rows = ["2\t3\tcat", "2.5\t3.5\tdog", "19\t25\tcat", "30\t31\tcat"]
    write(tmp_path, "yard/day.txt", *rows)
    events = [(2, 3, ("cat",)), (2.5, 3.5, ("dog",)), (19, 20, ("cat",))]
    background = [(0, 1.75, ()), (3.75, 13.75, ()), (13.75, 18.75, ())]
    day = [("yard/day.wav", *x) for x in events + background]
    dog = ("dog/1.wav", 0, math.inf, ("dog",))
    assert parts_of(tmp_path) == [*day, dog]
    assert "yard/unlabelled.wav" in caplog.text
    found = parts_of(tmp_path, partly_labelled=True)
    assert found == [*day[: len(events)], dog]


def test_ids_are_names_of_different_files():
    paths = ["a/b.wav", "a_b.flac", "A/B.wav", "a/c.wav", "-d.wav", "é/è.wav"]
    paths.append("x" * 300 + ".wav")
    ids = clip_ids(paths)
    assert clip_ids(paths[::-1]) == ids
    assert len({name.lower() for name in ids.values()}) == len(paths)
    for name in ids.values():
        assert re.fullmatch(r"\w[\w-]{,116}", name, re.ASCII)
    assert [ids[path] for path in paths[3:5]] == ["a_c", "_d"]
    # As before, since other files may name clips by them
    assert clip_ids(["dog/1.wav", "dog 1.wav"])["dog/1.wav"] == (
        "dog_1-3fa291799751c061"
    )


def test_a_table(tmp_path):
    write(
        tmp_path,
        "clips.csv",
        "path,labels,split,group,start,end",
        './a//1.wav, "dog, large; cat ;cat;", Test , g',
        "b\\2.wav,cat,,,2,4.5",
        "b/2.wav,,,,8,9",
        "3.wav,Background",
    )
    clips = list_clips(tmp_path).clips
    assert [(*row, x.group) for row, x in zip(rows_of(tmp_path), clips)] == [
        ("a/1.wav", ("dog, large", "cat"), "eval", "g"),
        ("b/2.wav", ("cat",), "", "b/2.wav"),
        ("b/2.wav", (), "", "b/2.wav"),
        ("3.wav", (), "", "3.wav"),
    ]
    times = [(clip.start, clip.seconds) for clip in clips]
    assert times == [(0, math.inf), (2, 2.5), (8, 1), (0, math.inf)]
    assert len({clip.id for clip in clips}) == 4


def test_published_sets(tmp_path):
    write(
        tmp_path / "esc50",
        "meta/esc50.csv",
        "filename,fold,target,category,esc10,src_file,take",
        "1-100032-A-0.wav,1,0,dog,True,100032,A",
        "5-9032-B-10.wav,5,10,sea_waves,False,9032,B",
    )
    write(
        tmp_path / "urban",
        "metadata/UrbanSound8K.csv",
        "slice_file_name,fsID,start,end,salience,fold,classID,class",
        "17592-5-1-1.wav,17592,15.53,19.53,2,10,5,engine_idling",
    )
    write(
        tmp_path / "fsd",
        "FSD50K.ground_truth/dev.csv",
        "fname,labels,mids,split",
        '64760,"Electric_guitar,Guitar","/m/02sgy,/m/0342h",train',
        "16399,Purr,/m/02yds9,val",
    )
    write(
        tmp_path / "fsd",
        "FSD50K.ground_truth/eval.csv",
        "fname,labels,mids",
        '37199,"Guitar,Music","/m/0342h,/m/04rlf"',
    )
    found = [
        (os.path.relpath(x.audio, tmp_path), x.labels, x.split, x.fold, x.group)
        for name in ("esc50", "urban", "fsd")
        for x in list_clips(tmp_path / name, 1).clips
    ]
    dev, test = "fsd/FSD50K.dev_audio", "fsd/FSD50K.eval_audio"
    guitar = ("Electric_guitar", "Guitar")
    esc50, urban = "esc50/audio", "urban/audio/fold10"
    assert found[:3] == [
        (f"{esc50}/1-100032-A-0.wav", ("dog",), "", "1", "100032"),
        (f"{esc50}/5-9032-B-10.wav", ("sea_waves",), "", "5", "9032"),
        (f"{urban}/17592-5-1-1.wav", ("engine_idling",), "", "10", "17592"),
    ]
    assert [row[:3] for row in found[3:]] == [
        (f"{dev}/64760.wav", guitar, "train"),
        (f"{dev}/16399.wav", ("Purr",), "valid"),
        (f"{test}/37199.wav", ("Guitar", "Music"), "eval"),
    ]
