"""Tests of finding custom data: folders, lists and tables of published sets.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets.custom.listing import (
    LAYOUTS,
    find_custom_data,
    list_class_folders,
    read_clip_list,
)
from speechbrain_fftp.datasets.custom.splits import (
    CustomClip,
    split_custom_data,
)


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


def test_class_folders(tmp_path):
    touch(tmp_path, "dog/1.WAV", "dog/far/away/2.flac", "cat/.3.wav", "x.wav")
    touch(tmp_path, "cat/4.ogg", "cat/notes.txt", ".git/5.wav", "cat/.t/6.wav")
    touch(tmp_path, "1/7.mp3", "1/8.M4A", "1/9.webm")
    clips = list_class_folders(tmp_path)
    assert [(clip.path, *clip.labels) for clip in clips] == [
        ("1/7.mp3", "1"),
        ("1/8.M4A", "1"),
        ("1/9.webm", "1"),
        ("cat/4.ogg", "cat"),
        ("dog/1.WAV", "dog"),
        ("dog/far/away/2.flac", "dog"),
    ]
    (tmp_path / "cat" / "loop").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / "dog")
    clips = list_class_folders(tmp_path)
    assert [clip.labels[0] for clip in clips].count("linked") == 2
    assert len(clips) == 8
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "other/notes.txt")
    with pytest.raises(
        ValueError, match="'empty', 'other': add some, or remove"
    ):
        list_class_folders(tmp_path)


@pytest.mark.parametrize("paths", [(), ("1.wav",), ("dog/1.txt",)])
def test_a_folder_of_no_layout(tmp_path, paths):
    assert find_custom_data(touch(tmp_path, *paths)) is None


def test_one_class_is_too_few(tmp_path):
    touch(tmp_path, "audio/1.wav", "audio/2.wav", "audio/3.wav")
    with pytest.raises(ValueError, match="least two .* found audio") as error:
        find_custom_data(tmp_path)
    assert LAYOUTS in str(error.value)


def test_two_clips_are_too_few(tmp_path):
    touch(tmp_path, "cat/1.wav", "dog/1.wav")
    with pytest.raises(
        ValueError, match="few clips.* valid, eval. At least one class"
    ):
        split_custom_data(find_custom_data(tmp_path))


def test_names_of_files_that_are_no_text(tmp_path):
    for number in range(6):
        path = os.path.join(
            os.fsencode(tmp_path), b"dog" if number % 2 else b"c"
        )
        os.makedirs(path, exist_ok=True)
        open(os.path.join(path, b"\xff%d.wav" % number), "w").close()
    sounds = find_custom_data(tmp_path)
    assert len(sounds.files) == 6
    assert all(name.isascii() for name in sounds.files)
    assert all(map(os.path.isfile, sounds.files.values()))


def write_list(folder, *rows, header="path,labels,split,group"):
    path = folder / "clips.csv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8-sig")
    return path


def test_clip_list(tmp_path):
    path = write_list(
        tmp_path,
        './a//1.wav, "dog, large; cat ;cat;", Test , g',
        "b\\2.wav,cat,,",
        "3.wav",
    )
    assert read_clip_list(path) == [
        CustomClip("a/1.wav", ("dog, large", "cat"), "eval", "g"),
        CustomClip("b/2.wav", ("cat",)),
        CustomClip("3.wav", ()),
    ]


@pytest.mark.parametrize(
    "row",
    [
        "1.wav,dog,training,",
        ",dog,,",
        "a/../../1.wav,dog,,",
        "a\\..\\1.wav,dog,,",
        "/etc/passwd,dog,,",
        "C:\\1.wav,dog,,",
        "1.wav,dog,,,,x",
        "./0.wav,cat,,",
        "1.wav,$dog;cat,,",
    ],
)
def test_lists_that_make_no_sense(tmp_path, row):
    path = write_list(tmp_path, "0.wav,dog,,", row)
    with pytest.raises(ValueError) as error:
        find_custom_data(tmp_path)
    assert str(path) in str(error.value)


def test_lists_without_a_column_or_that_are_none(tmp_path):
    path = tmp_path / "clips.csv"
    for content in (
        b"",
        b"file,labels\n1.wav,dog\n",
        b"path,label\n1.wav,dog\n",
        b"path,labels\n\xff.wav,dog\n",
        b"path,labels\n",
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError) as error:
            find_custom_data(tmp_path)
        assert str(path) in str(error.value)


def splits_of(folder):
    """From path to split, as assigned."""
    own = find_custom_data(folder)
    listed, _ = split_custom_data(own)
    paths = {i: path for path, i in own.ids.items()}
    return {paths[c.id]: s for s, clips in listed.items() for c in clips}


@pytest.mark.parametrize(
    "names",
    [
        ("bal_train", "eval"),
        ("Train", "Validation", "TEST"),
        ("dog", "cat", "test"),
        ("dog", "training"),
    ],
)
def test_names_of_splits_are_no_classes(tmp_path, names):
    for name in names:
        touch(tmp_path, *(f"{name}/{number}.wav" for number in range(4)))
    with pytest.raises(ValueError, match="names of splits, not of") as error:
        find_custom_data(tmp_path)
    for remedy in ("test/CLASS/", "clips.csv", "rename"):
        assert remedy in str(error.value)
    assert "'dog'" not in str(error.value)


@pytest.mark.parametrize(
    "tops, expected",
    [
        (("train", "val", "test"), {"train": 12, "valid": 12, "eval": 12}),
        (("development", "evaluation"), {"train": 10, "valid": 2, "eval": 12}),
        (("train",), {"train": 8, "valid": 2, "eval": 2}),
    ],
)
def test_splits_with_the_same_classes(tmp_path, tops, expected):
    for top in tops:
        for name in ("dog", "cat"):
            touch(tmp_path, *(f"{top}/{name}/a/{i}.wav" for i in range(6)))
    found = splits_of(tmp_path)
    assert list(find_custom_data(tmp_path).classes) == ["cat", "dog"]
    counts = {split: list(found.values()).count(split) for split in expected}
    assert counts == expected
    last = tops[-1]
    if len(tops) > 1:  # what was given stays
        assert {s for p, s in found.items() if p.startswith(last)} == {"eval"}


def test_classes_that_are_in_test_only(tmp_path):
    touch(tmp_path, "train/dog/1.wav", "train/cat/2.wav", "test/dog/3.wav")
    touch(tmp_path, "test/Cat/4.wav")
    with pytest.raises(ValueError, match="test/Cat/4.wav is not among those"):
        find_custom_data(tmp_path)


def test_spaces_around_names_of_folders(tmp_path):
    touch(tmp_path, "dog /1.wav", " cat/2.wav", "dog/3.wav")
    own = find_custom_data(tmp_path)
    assert list(own.classes) == ["cat", "dog"]
    assert sorted(own.ids) == [" cat/2.wav", "dog /1.wav", "dog/3.wav"]


def write_clips(folder, counts):
    """Writes so many clips of noise into each folder."""
    noise = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            wav = noise.uniform(-0.1, 0.1, 4000)
            sf.write(folder / name / f"{number}.wav", wav, 16000)
    return folder


@pytest.mark.parametrize("name", ["background", "Noise", "silence", "OTHER"])
def test_a_folder_of_background_is_no_class(tmp_path, name):
    data = write_clips(tmp_path, {"Siren": 4, name: 5})
    found = find_custom_data(data)
    assert list(found.classes) == ["Siren"]
    listed, _ = split_custom_data(found)
    for clips in listed.values():  # both are in each split
        assert {clip.mids for clip in clips} == {("Siren",), ()}


def test_background_within_folders_of_splits(tmp_path):
    for split, count in (("train", 3), ("valid", 1), ("test", 2)):
        names = {"Siren": count, "Bell": count}
        if split != "train":  # it need not be in all of them
            names["background"] = count
        write_clips(tmp_path / split, names)
    listed, _ = split_custom_data(find_custom_data(tmp_path))
    negatives = {
        split: sum(not clip.mids for clip in clips)
        for split, clips in listed.items()
    }
    assert negatives == {"train": 0, "valid": 1, "eval": 2}


def test_background_alone_is_an_error(tmp_path):
    data = write_clips(tmp_path, {"background": 5, "noise": 5})
    with pytest.raises(ValueError, match="background"):
        find_custom_data(data)


ESC50 = "filename,fold,target,category,esc10,src_file,take"

URBAN = "slice_file_name,fsID,start,end,salience,fold,classID,class"


def write(folder, name, *lines):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_esc50(tmp_path):
    write(
        tmp_path,
        "meta/esc50.csv",
        ESC50,
        "1-100032-A-0.wav,1,0,dog,True,100032,A",
        "5-9032-B-10.wav,5,10,sea_waves,False,9032,B",
    )
    own = find_custom_data(tmp_path)
    assert own.clips == [
        CustomClip("audio/1-100032-A-0.wav", ("dog",), "", "100032", "1"),
        CustomClip("audio/5-9032-B-10.wav", ("sea_waves",), "", "9032", "5"),
    ]
    assert own.tables == [str(tmp_path / "meta" / "esc50.csv")]


def test_urbansound8k(tmp_path):
    write(
        tmp_path,
        "metadata/UrbanSound8K.csv",
        URBAN,
        "100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark",
        "17592-5-1-1.wav,17592,15.53,19.53,2,10,5,engine_idling",
    )
    assert find_custom_data(tmp_path).clips == [
        CustomClip(
            "audio/fold5/100032-3-0-0.wav", ("dog_bark",), "", "100032", "5"
        ),
        CustomClip(
            "audio/fold10/17592-5-1-1.wav",
            ("engine_idling",),
            "",
            "17592",
            "10",
        ),
    ]


def test_fsd50k(tmp_path):
    dev = write(
        tmp_path,
        "FSD50K.ground_truth/dev.csv",
        "fname,labels,mids,split",
        '64760,"Electric_guitar,Guitar","/m/02sgy,/m/0342h",train',
        "16399,Purr,/m/02yds9,val",
    )
    table = write(
        tmp_path,
        "FSD50K.ground_truth/eval.csv",
        "fname,labels,mids",
        '37199,"Guitar,Music","/m/0342h,/m/04rlf"',
    )
    own = find_custom_data(tmp_path)
    assert own.clips == [
        CustomClip(
            "FSD50K.dev_audio/64760.wav", ("Electric_guitar", "Guitar"), "train"
        ),
        CustomClip("FSD50K.dev_audio/16399.wav", ("Purr",), "valid"),
        CustomClip("FSD50K.eval_audio/37199.wav", ("Guitar", "Music"), "eval"),
    ]
    assert own.tables == [str(dev), str(table)]  # they are part of the source


@pytest.mark.parametrize(
    "row",
    [
        "1.wav,,0,dog,,1,A",
        "../1.wav,1,0,dog,,1,A",
        "0.wav,2,0,dog,,0,A",
        "1.wav,1,0,dog,,1,A,x",
    ],
)
def test_damaged_tables(tmp_path, row):
    path = write(tmp_path, "meta/esc50.csv", ESC50, "0.wav,1,0,cat,,0,A", row)
    with pytest.raises(ValueError) as error:
        find_custom_data(tmp_path)
    assert str(path) in str(error.value)


def test_ones_own_list_comes_first(tmp_path):
    write(tmp_path, "meta/esc50.csv", ESC50, "1.wav,1,0,dog,,1,A")
    write(tmp_path, "clips.csv", "path,labels", "a.wav,x", "b.wav,y")
    assert list(find_custom_data(tmp_path).classes) == ["x", "y"]


def test_folds_of_a_list(tmp_path):
    path = write(tmp_path, "clips.csv", "path,labels,fold,split", "1.wav,a,3")
    write(tmp_path, "clips.csv", path.read_text().strip(), "2.wav,b,10,")
    assert [clip.fold for clip in find_custom_data(tmp_path).clips] == [
        "3",
        "10",
    ]
    write(tmp_path, "clips.csv", path.read_text().strip(), "3.wav,b,3,train")
    with pytest.raises(
        ValueError, match="line 4: a clip has a split or a fold"
    ):
        find_custom_data(tmp_path)
