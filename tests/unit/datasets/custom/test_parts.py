"""Tests of clips that are parts of long recordings.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets.custom.listing import find_custom_data
from speechbrain_fftp.datasets.custom.prepare import prepare_custom_data
from speechbrain_fftp.datasets.custom.splits import split_custom_data
from speechbrain_fftp.datasets.manifests import read_table

RATE = 16000


def write_recordings(folder, count=6, seconds=30):
    """Writes recordings whose sample at t seconds is about t / 1000."""
    folder.mkdir()
    level = np.arange(seconds * RATE) / RATE / 1000
    for number in range(count):
        sf.write(folder / f"day {number}.wav", level + number / 20, RATE)
    return folder


def prepared_levels(folder):
    """First and last second in the recording of each prepared clip."""
    found = {}
    for split in ("train", "valid", "eval"):
        for _, row in read_table(folder / f"{split}.csv", ("ID", "labels")):
            wav, _ = sf.read(folder / "flac" / f"{row['ID']}.flac")
            number = int(row["ID"].split("_")[1])
            times = 1000 * (wav - number / 20)
            found[row["ID"]] = (times[0], times[-1], row["labels"], split)
    return found


def test_parts_of_recordings_are_clips(tmp_path, caplog):
    data = write_recordings(tmp_path / "data")
    rows = ["path,labels,start,end"]
    for number in range(6):
        rows += [
            f"day {number}.wav,Siren,2.5,4",
            f"day {number}.wav,Bell;Siren,8,25",
            f"day {number}.wav,,0,1.5",
        ]
    (data / "clips.csv").write_text("\n".join(rows))
    prepare_custom_data(str(data), str(tmp_path / "prepared"), num_workers=1)
    found = prepared_levels(tmp_path / "prepared")
    expected = {
        (2.5, 4.0, "Siren"),
        (8.0, 18.0, "Bell;Siren"),  # the first 10 s
        (0.0, 1.5, ""),
    }
    assert len(found) == 18
    for number in range(6):
        own = [x for i, x in found.items() if i.startswith(f"day_{number}_")]
        times = {(round(a, 1), round(b, 1), text) for a, b, text, _ in own}
        assert times == expected
        assert len({split for *_, split in own}) == 1  # one recording
    assert "6 clips are longer than 10 s" in caplog.text


@pytest.mark.parametrize(
    "times", ["1,", "2,1", "-1,2", "a,b", "0,inf", "1,nan", "3,3"]
)
def test_times_that_make_no_sense(tmp_path, times):
    (tmp_path / "clips.csv").write_text(
        f"path,labels,start,end\na.wav,x,0,1\nb.wav,y,{times}\n"
    )
    with pytest.raises(ValueError, match="clips.csv, line 3"):
        find_custom_data(tmp_path)


def test_label_tracks_of_audacity(tmp_path):
    data = write_recordings(tmp_path / "data", count=4)
    for number in range(4):
        lines = ["1.000000\t2.500000\tSiren", "\\\t100.0\t900.0"]
        lines += ["2.000000\t3.000000\tBell", "10.0\t12.0\tbackground", ""]
        track = data / f"day {number}.txt"
        track.write_text("\n".join(lines), "utf-8")
    sf.write(data / "no track.wav", np.zeros(RATE), RATE)
    found = find_custom_data(data)
    assert list(found.classes) == ["Bell", "Siren"]
    assert len(found.clips) == 12 and len(set(found.ids.values())) == 12
    listed, _ = split_custom_data(found)
    clips = sum(listed.values(), [])
    assert {(x.mids, x.start, x.end) for x in clips} == {
        (("Siren",), 1.0, 2.5),
        (("Bell",), 2.0, 3.0),
        ((), 10.0, 12.0),
    }
    assert sorted(found.tables) == sorted(map(str, data.glob("*.txt")))


@pytest.mark.parametrize("line", ["1\t2", "a\tb\tSiren", "2\t2\tpoint"])
def test_tracks_that_are_none(tmp_path, line):
    data = write_recordings(tmp_path / "data", count=1)
    (data / "day 0.txt").write_text(f"0\t1\tBell\n{line}\n", "utf-8")
    with pytest.raises(ValueError, match="day 0.txt, line 2"):
        find_custom_data(data)
