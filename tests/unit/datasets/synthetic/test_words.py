"""Tests of the set of synthetic words.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.datasets.speech_commands.lists import (
    COMMANDS,
    list_words,
    read_lists,
    speaker_of,
    split_clips,
)
from speechbrain_fftp.datasets.synthetic.words import (
    PHONES,
    WORDS,
    make_word_set,
    render_word,
)

SIZES = {"num_speakers": 7, "num_takes": 1}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "set"
    make_word_set(folder, seed=3, **SIZES)
    return folder


def rng(seed):
    return np.random.default_rng(seed)


def test_words_are_made_of_known_phones():
    assert set(COMMANDS) < set(WORDS) and len(WORDS) == 14
    assert len(set(WORDS.values())) == 14
    assert {s for w in WORDS.values() for s in w.split()} == set(PHONES)


def test_layout(words):
    found, others = list_words(words)
    assert not others
    assert found.pop("_background_noise_") == [
        f"_background_noise_/{name}.wav"
        for name in ("hum", "pink_noise", "white_noise")
    ]
    assert set(found) == set(WORDS)
    paths = [path for paths in found.values() for path in paths]
    assert len(paths) == 14 * 7
    speakers = {}
    splits, absent, doubled = split_clips(paths, read_lists(words))
    assert not absent and not doubled
    for path, split in splits.items():
        speaker, is_known = speaker_of(path)
        assert is_known
        speakers.setdefault(split, set()).add(speaker)
    sizes = {split: len(names) for split, names in speakers.items()}
    assert sizes == {"train": 5, "valid": 1, "test": 1}
    assert len(set.union(*speakers.values())) == 7


def test_clips_are_sound(words):
    levels = []
    for path in words.glob("[a-z]*/*.wav"):
        info = sf.info(path)
        assert (info.samplerate, info.channels) == (16000, 1)
        assert (info.frames, info.subtype) == (16000, "PCM_16")
        samples, _ = sf.read(path)
        levels.append(np.abs(samples).max())
        # A word does not fill the second, and the rest is not silent
        frames = samples.reshape(50, 320).std(axis=1)
        assert frames.max() > 5 * np.median(np.sort(frames)[:10])
        assert frames.min() > 0
    assert 0.05 < min(levels) < max(levels) < 0.75
    for path in (words / "_background_noise_").iterdir():
        samples, rate = sf.read(path)
        assert len(samples) == 8 * rate and np.abs(samples).max() > 0.4


def test_same_settings_give_the_same_bytes(digest, words, tmp_path):
    make_word_set(tmp_path / "same", seed=3, **SIZES)
    make_word_set(tmp_path / "other", seed=4, **SIZES)
    assert digest(tmp_path / "same") == digest(words)
    assert digest(tmp_path / "other") != digest(words)


def test_the_set_stays_as_it_was(words):
    """Recorded values; machines may round a sample differently."""
    listed = (words / "testing_list.txt").read_text("utf-8").split()
    assert listed[:2] == [f"{w}/ca78e1e7_nohash_0.wav" for w in ("yes", "no")]
    for name, step, expected in (
        ("yes/0a974459_nohash_0", 2000, (42, -3, -1326, -5495, 5434, -359)),
        ("stop/0a974459_nohash_0", 2000, (42, -14, -1417, 836, -386, 2948)),
        ("_background_noise_/hum", 16000, (-1117, -541, -1398, 378, -226, 38)),
    ):
        samples, _ = sf.read(words / f"{name}.wav", dtype="int16")
        found = samples[::step][:6]
        np.testing.assert_allclose(found, expected, rtol=0, atol=2)


def test_hisses_are_where_they_belong():
    def high_part(samples):
        """How much of the energy is above 3.5 kHz."""
        power = np.abs(np.fft.rfft(samples)) ** 2
        return power[len(power) * 7 // 16 :].sum() / power.sum()

    for seed in range(5):
        for word, begins, ends in (
            ("stop", True, False),
            ("yes", False, True),
            ("no", False, False),
        ):
            audio = render_word(word, rng(seed), rng(seed + 100))
            assert np.isfinite(audio).all() and np.abs(audio).max() == 1
            assert 3000 < len(audio) < 16000
            size = len(audio) // 6
            assert (high_part(audio[:size]) > 0.5) == begins
            assert (high_part(audio[-size:]) > 0.5) == ends


def test_takes_differ_and_speakers_differ():
    one = render_word("go", rng(0), rng(1))
    np.testing.assert_array_equal(one, render_word("go", rng(0), rng(1)))
    assert len({len(render_word("go", rng(0), rng(i))) for i in range(9)}) > 5
    tempi = [len(render_word("go", rng(i), rng(1))) for i in range(20)]
    assert max(tempi) > 1.25 * min(tempi)


def test_existing_folder(words, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in words.rglob("*")}
    make_word_set(words, seed=3, **SIZES)
    assert {p: p.stat().st_mtime_ns for p in words.rglob("*")} == before
    with pytest.raises(ValueError, match="seed=3, not 4 .* delete this one"):
        make_word_set(words, seed=4, **SIZES)
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "yes").mkdir()
    with pytest.raises(ValueError, match="holds something else"):
        make_word_set(foreign, 3, 1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    for sizes in ((2, 1), (3, 0)):
        with pytest.raises(ValueError, match="At least three speakers"):
            make_word_set(tmp_path / "none", *sizes)


def test_interrupted_writing_leaves_no_set(digest, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    with monkeypatch.context() as patch:
        patch.setattr(sf, "write", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make_word_set(folder, 3, 1)
    assert not (folder / "prepared.json").exists()
    make_word_set(folder, 3, 1)
    make_word_set(tmp_path / "whole", 3, 1)
    assert digest(folder) == digest(tmp_path / "whole")
