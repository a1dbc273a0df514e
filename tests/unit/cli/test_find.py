"""Tests of ``fftp-tag index`` and ``fftp-tag find``.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from speechbrain_fftp.cli.main import main
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.index import SoundIndex

ROOT = Path(__file__).resolve().parents[3]


def noise(seconds, seed, rate=16000, channels=1):
    rng = np.random.default_rng(seed)
    size = round(seconds * rate)
    levels = np.repeat(rng.random(size // 4000 + 1) ** 4, 4000)[:size, None]
    return 0.2 * levels * rng.standard_normal((size, channels))


@pytest.fixture(scope="module")
def made(exported, tmp_path_factory):
    """An archive, its index, and an example from it."""
    folder = tmp_path_factory.mktemp("find")
    archive = folder / "archive"
    (archive / "day 1").mkdir(parents=True)
    stereo = noise(7, seed=0, rate=44100, channels=2)
    sf.write(archive / "day 1" / "a.flac", stereo, 44100, "PCM_24")
    sf.write(archive / "b.wav", noise(4, seed=1), 16000)
    model = shutil.copytree(exported[1], folder / "model")
    index = folder / "archive.index"
    arguments = ["--model", model, "--output", index, "--window", "1"]
    assert main(["index", str(archive), *map(str, arguments)]) == 0
    example = folder / "example.wav"
    sf.write(example, stereo[3 * 44100 : 4 * 44100], 44100, "PCM_24")
    return archive, index, example


def find(example, index, *options):
    return main(["find", str(example), "--index", str(index), *options])


def expected_places(made, top_k):
    _, folder, example = made
    index = SoundIndex(folder)
    tagger = AudioTagger.from_pretrained(index.settings.model)
    return index.find(index.embed(tagger, example), top_k)


def test_formats(made, capsys):
    archive, index, example = made
    expected = [place.to_dict() for place in expected_places(made, 4)]
    assert len(expected) == 4
    first = str(archive / "day 1" / "a.flac")
    assert expected[0]["file"] == first and expected[0]["start"] == 3
    results = {}
    for name in ("table", "json"):
        assert find(example, index, "--top-k", "4", "--format", name) == 0
        results[name] = capsys.readouterr().out
    assert json.loads(results["json"]) == expected
    # The part of its recording is the same example
    part = ["--start", "3", "--end", "4", "--format", "json", "--top-k", "4"]
    assert find(first, index, *part) == 0
    for place, other in zip(
        json.loads(capsys.readouterr().out), expected, strict=True
    ):
        assert (place["file"], place["start"]) == (
            other["file"],
            other["start"],
        )
        assert place["similarity"] == pytest.approx(
            other["similarity"], abs=1e-4
        )
    lines = results["table"].splitlines()
    assert [line.split(maxsplit=3)[3] for line in lines] == [
        row["file"] for row in expected
    ]


def test_cut_places_are_the_samples_of_the_source(made, tmp_path):
    _, index, example = made
    folder = tmp_path / "places" / "bark"
    options = ["--top-k", "6", "--cut", str(folder)]
    assert find(example, index, *options) == 0
    places = expected_places(made, 6)
    names = sorted(os.listdir(folder))
    assert len(names) == len(places)
    for rank, (name, place) in enumerate(zip(names, places), start=1):
        assert name.startswith(f"{rank:03d}_")
        assert Path(place.file).stem in name and f"{place.start:.2f}" in name
        whole, rate = sf.read(place.file, dtype="float32")
        cut, cut_rate = sf.read(folder / name, dtype="float32")
        assert cut_rate == rate
        first, last = round(place.start * rate), round(place.end * rate)
        np.testing.assert_array_equal(cut, whole[first:last])
