"""Tests that what is wrong with data is named: folders, tables, tracks, splits.

Authors
 * The speechbrain_fftp authors 2026
"""

import re

import pytest

from fftp_tag.data.class_lists import read_classes_csv
from fftp_tag.data.clips import Clip
from fftp_tag.data.custom import list_clips
from fftp_tag.data.splits import assign_splits, choose_fold
from fftp_tag.data.strong_labels import read_strong_labels
from fftp_tag.errors import InputError


def read_track(folder):
    return read_strong_labels(folder / "track.txt", {"a"}, None, "all")


CLIPS = "path,labels,split,fold,start,end\n0.wav,dog\n"
TRACK = "0\t1\tDog\n"
CLASSES = "index,mid,display_name\n0,/m/a,Dog\n"


@pytest.mark.parametrize(
    "read, files, content, named",
    [
        (list_clips, "notes.txt", "", "no clips"),
        (list_clips, "b.wav a.wav", "", "such as a.wav"),  # of no class
        (list_clips, "dog/1.wav bird/notes.txt", "", "bird"),  # without clips
        (list_clips, "train/1.wav test/1.wav", "", "train.*test"),  # nor these
        (list_clips, "dog/1.wav test/1.wav", "", ": test.* splits"),
        (list_clips, "dog/1.wav dog/2.wav", "", "dog"),  # one class
        (list_clips, "a;b/1.wav cat/2.wav", "", "a;b"),
        (list_clips, "clips.csv", "", "clips.csv"),
        (list_clips, "clips.csv", "file,labels\n1.wav,dog\n", "clips.csv"),
        (list_clips, "clips.csv", "path,labels\n\xff.wav,dog\n", "clips.csv"),
        *(
            (list_clips, "clips.csv", CLIPS + row, "clips.csv, line 3")
            for row in (
                "1.wav,dog,training",
                ",dog",
                "a/../../1.wav,dog",
                "/etc/passwd,dog",
                "1.wav,dog,,,,,x",
                "./0.wav,cat",
                "1.wav,dog,train,3",
                "1.wav,dog,,3",
                "1.wav,dog,,,2,1",
            )
        ),
        (read_track, "track.txt", f"{TRACK}1\t1\tDog", "line 2.*end after"),
        (read_track, "track.txt", f"{TRACK}1\t2\t", "line 2.*needs a label"),
        (read_track, "track.txt", f"{TRACK}one\t2\tDog", "line 2.*one"),
        (read_track, "track.txt", f"{TRACK}1\t2", "txt.*Audacity exports"),
        (read_classes_csv, "classes.csv", f"{CLASSES}1,/m/a,Cat", "line 3"),
        (read_classes_csv, "classes.csv", f"{CLASSES}1,/m/b,Dog", "line 3"),
        (read_classes_csv, "classes.csv", f"{CLASSES}1,/m/b,$", "line 3"),
    ],
)
def test_files_that_make_no_sense(tmp_path, read, files, content, named):
    for name in files.split():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "latin-1")
    with pytest.raises((InputError, FileNotFoundError), match=named):
        read(tmp_path)


def clips_of(*splits, group="", fold=""):
    """A clip of each split, of a group of its own by default."""
    return [
        Clip(f"{n}", None, ("dog",), split, group=group or f"{n}", fold=fold)
        for n, split in enumerate(splits)
    ]


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda: assign_splits(clips_of("", ""), "data"), "data.*valid"),
        (
            lambda: assign_splits(clips_of("eval", "train", group="a"), "data"),
            "data.*'a'",
        ),
        (lambda: choose_fold(clips_of("", fold="4"), None, "data"), "data.*4"),
        (lambda: choose_fold(clips_of("", fold="4"), 7, "data"), "7.*data.*4"),
    ],
)
def test_splits_that_cannot_be(call, named):
    with pytest.raises(InputError) as error:
        call()
    assert re.search(named, str(error.value))
