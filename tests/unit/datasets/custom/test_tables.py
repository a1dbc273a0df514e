"""Tests of published sets by their own tables, and of folds.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import defaultdict

import pytest

from speechbrain_fftp.datasets.custom.listing import find_custom_data
from speechbrain_fftp.datasets.custom.splits import (
    CustomClip,
    assign_splits,
    choose_fold,
)

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


def fold_clips():
    """Five folds of two classes; recordings of four clips each."""
    return [
        CustomClip(
            f"{i}.wav", ("ab"[i % 2],), "", f"rec {i // 4}", f"{i // 40}"
        )
        for i in range(200)
    ]


@pytest.mark.parametrize("test_fold", ["0", 1, "4"])
def test_a_fold_is_for_evaluation(test_fold):
    clips = fold_clips()
    splits = assign_splits(choose_fold(clips, test_fold, "data"))
    groups = defaultdict(set)
    for clip, split in zip(clips, splits):
        assert (split == "eval") == (clip.fold == str(test_fold))
        groups[clip.group].add(split)
    assert all(len(found) == 1 for found in groups.values())
    assert splits.count("valid") in (24, 28)
    assert splits == assign_splits(choose_fold(clips, test_fold, "data"))


@pytest.mark.parametrize("test_fold", [None, "7", ""])
def test_folds_must_be_chosen(test_fold):
    with pytest.raises(
        ValueError, match="data has the folds 0, 1, 2, 3, 4: give"
    ):
        choose_fold(fold_clips(), test_fold, "data")


def test_a_group_in_two_folds():
    clips = fold_clips()
    clips[0] = clips[0]._replace(fold="2")
    with pytest.raises(ValueError, match="group 'rec 0' .* eval and train"):
        assign_splits(choose_fold(clips, 2, "data"))


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
