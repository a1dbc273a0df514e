"""Tests that what is wrong with data is named: folders, tables, tracks.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from fftp_tag.data.class_lists import read_classes_csv
from fftp_tag.data.custom import list_clips
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
        (list_clips, "train/1.wav test/1.wav", "", "train.*test"),  # no classes
        (list_clips, "dog/1.wav test/1.wav", "", ": test.* splits"),
        (list_clips, "a;b/1.wav cat/2.wav", "", "a;b"),
        (list_clips, "clips.csv", "file,labels\n1.wav,dog\n", "clips.csv"),
        *(
            (list_clips, "clips.csv", CLIPS + row, "clips.csv, line 3")
            for row in (
                "1.wav,dog,training",
                "a/../../1.wav,dog",
                "/etc/passwd,dog",
                "./0.wav,cat",
                "1.wav,dog,train,3",
                "1.wav,dog,,,2,1",
            )
        ),
        (read_track, "track.txt", f"{TRACK}1\t1\tDog", "line 2.*end after"),
        (read_track, "track.txt", f"{TRACK}one\t2\tDog", "line 2.*one"),
        (read_track, "track.txt", f"{TRACK}1\t2", "txt.*Audacity exports"),
        (read_classes_csv, "classes.csv", f"{CLASSES}1,/m/a,Cat", "line 3"),
        (read_classes_csv, "classes.csv", f"{CLASSES}1,/m/b,Dog", "line 3"),
    ],
)
def test_files_that_make_no_sense(tmp_path, read, files, content, named):
    for name in files.split():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "latin-1")
    with pytest.raises((InputError, FileNotFoundError), match=named):
        read(tmp_path)
