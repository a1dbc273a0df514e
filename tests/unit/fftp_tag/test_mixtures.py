"""Tests of mixing own sounds; tests of the starter's mixtures test the mixing.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import itertools

import numpy as np
import pytest
import soundfile as sf
from prepared_clips import read_clips, read_rows

from fftp_tag.data.mixtures import RATE, Mixer, Sound, prepare_mixtures
from fftp_tag.data.prepare import prepare_custom
from fftp_tag.errors import InputError

SIZES = {"num_train": 12, "num_valid": 12, "num_eval": 12}
PITCHES = {name: 400 + 300 * n for n, name in enumerate("abcdefghij")}


def tone(pitch, seconds):
    return 0.1 * np.sin(2 * np.pi * pitch * np.arange(seconds * RATE) / RATE)


@pytest.fixture
def sounds(tmp_path):
    """Each clip of the two classes has a pitch of its own."""
    folder = tmp_path / "sounds"
    for label, names in (("Low", "abcde"), ("High", "fghij")):
        (folder / label).mkdir(parents=True)
        for name in names:
            wav = tone(PITCHES[name], 1)
            sf.write(folder / label / f"{name}.wav", wav, RATE)
    return folder


def test_a_split_has_its_own_clips_and_background(sounds, tmp_path):
    """Those that custom data are assigned to, and its part of a recording."""
    parts = [tone(pitch, 3) for pitch in (5000,) * 3 + (6000, 7000)]
    room = tmp_path / "room.wav"
    sf.write(room, 1e-3 + np.concatenate(parts), RATE)
    prepare_custom(sounds, tmp_path / "custom")
    prepare_mixtures(sounds, tmp_path / "mixed", background=room, **SIZES)
    clips = read_clips(tmp_path / "mixed")
    with open(tmp_path / "mixed" / "events.tsv") as file:
        events = list(csv.DictReader(file, delimiter="\t"))
    for split, noise in (("valid", 6000), ("eval", 7000)):
        own = [
            PITCHES[row["ID"][-1]]
            for row in read_rows(tmp_path / "custom" / f"{split}.csv")
        ]
        assert len(own) == 2
        for row in read_rows(tmp_path / "mixed" / f"{split}.csv"):
            wav = clips[row["ID"]]
            power = np.abs(np.fft.rfft(wav)) ** 2
            pitches = np.fft.rfftfreq(len(wav), 1 / RATE)
            heard = (pitches > 100) & (np.abs(pitches - noise) > 100)
            of_noise = power[(pitches > 4500) & heard].sum()
            assert of_noise < 1e-3 * power.sum()
            near = [np.abs(pitches / pitch - 1) < 0.16 for pitch in own]
            assert power[heard & ~np.any(near, 0)].sum() < 0.02 * power.sum()
            found = {
                x["event_label"] for x in events if x["filename"] == row["ID"]
            }
            assert found - {""} == set(filter(None, row["labels"].split(";")))
    sf.write(room, sf.read(room)[0] / 2, RATE)  # of the same size
    with pytest.raises(InputError, match="background"):
        prepare_mixtures(sounds, tmp_path / "mixed", background=room, **SIZES)


def test_sounds_of_a_class_do_not_overlap_and_stand_out_by_their_snr():
    noise = np.random.default_rng(0).standard_normal(20 * RATE)
    sounds = {"valid": [Sound(("a",), tone(1000, 3))]}
    mixer = Mixer(sounds, {"valid": [noise], "train": []}, {"a": "A"}, seed=0)
    for number in range(50):
        drawn = mixer.draw(str(number), "valid")
        events = sorted(drawn.events, key=lambda event: event.start)
        for one, other in itertools.pairwise(events):
            assert one.end <= other.start
        alone = mixer.mix(drawn._replace(events=[]))
        for event in events:
            mixed = mixer.mix(drawn._replace(events=[event]))
            heard = (mixed - alone)[event.start : event.end]
            snr = 20 * np.log10(heard.std() / alone.std())
            assert snr == pytest.approx(event.snr, abs=0.5)


def test_noise_is_generated_without_background(sounds, tmp_path):
    sf.write(sounds / "Low" / "silent.wav", np.zeros(RATE), RATE)
    prepare_mixtures(sounds, tmp_path / "mixed", **SIZES)
    assert all(
        clip.std() > 1 for clip in read_clips(tmp_path / "mixed").values()
    )
    [skipped] = read_rows(tmp_path / "mixed" / "skipped.csv")
    assert "silent" in str(skipped)
    room = tmp_path / "room.wav"
    sf.write(room, tone(5000, 3), RATE)
    with pytest.raises(InputError, match="background"):
        prepare_mixtures(sounds, tmp_path / "mixed", background=room, **SIZES)
