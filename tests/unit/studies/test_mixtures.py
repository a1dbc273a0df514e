"""Tests of the mixtures of the plan `fresh`.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import itertools

import numpy as np
import pytest
import soundfile

RATE = 16000


def write_sound(path, draws):
    """Writes half a second of noise, with silence at its ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wav = np.zeros(RATE)
    wav[RATE // 4 : -RATE // 4] = draws.uniform(-0.5, 0.5, RATE // 2)
    soundfile.write(path, wav, RATE)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of the four data sets, a second a sound."""
    from studies.mixtures import FOLDS, WORDS

    folder, draws = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for word, speaker in itertools.product(WORDS, range(40)):
        name = f"{speaker:08x}_nohash_0.flac"
        write_sound(folder / "speech_commands" / word / name, draws)
    tables = {
        "audioset_mini/clips.csv": [
            # Each pair is of one session
            {
                "ytid": f"id{number}",
                "source_label": ("Cello", "Flute")[number // 2 % 2],
                "freesound_id": 1000 * (number // 2) + number % 2,
            }
            for number in range(64)
        ],
        "esc10/esc10.csv": [
            {
                "file": f"{fold}-{fold}{number}-A.flac",
                "fold": fold,
                "label": "rain",
            }
            for fold, number in itertools.product([*FOLDS, "4"], range(20))
        ],
        "everyday/clips.csv": [
            {
                "file": f"{fold}_{number}.flac",
                "fold": fold,
                "label": "cow",
                "group": f"fs{fold}{number // 2}",
            }
            for fold, number in itertools.product(FOLDS, range(40))
        ],
    }
    for name, rows in tables.items():
        (folder / name).parent.mkdir()
        with open(folder / name, "w", newline="") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows(rows)
        for row in rows:
            clip = row.get("file", f"{row.get('ytid')}.flac")
            write_sound((folder / name).parent / "audio" / clip, draws)
    return folder


@pytest.mark.parametrize("test_fold, unused", [(1, None), (2, 1)])
def test_no_group_is_in_two_splits(test_fold, unused, data):
    from studies.mixtures import draw_clips, read_sounds

    sounds = read_sounds(data)
    assert {sound.fold for sound in sounds} == {1, 2, 3, 4}
    assert all("/4-" not in str(sound.path) for sound in sounds)
    counts = {"train": 400, "valid": 100, "eval": 200}
    clips = draw_clips(sounds, counts, test_fold, unused, seed=0)
    used = {split: set() for split in counts}
    for clip in clips:
        parts = [part.sound for part in clip.audio.parts]
        assert clip.labels == tuple(sound.label for sound in parts)
        assert len(set(clip.labels)) == len(parts) <= 3
        assert clip.id.partition("-")[2] == parts[0].group
        used[clip.split].update(parts)
    for first, second in itertools.combinations(used.values(), 2):
        groups = [{x.group for x in sounds} for sounds in (first, second)]
        assert groups[0].isdisjoint(groups[1])
    assert {sound.fold for sound in used["eval"]} == {test_fold}
    others = {1, 2, 3, 4} - {test_fold, unused}
    assert {sound.fold for sound in used["train"]} == others
