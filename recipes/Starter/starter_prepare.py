#!/usr/bin/env python3
"""Mixes real sounds into clips of 10 s for the starter model.

> python recipes/Starter/starter_prepare.py DATA PREPARED_FOLDER

Everyday sounds (DATA/esc10), notes of instruments (DATA/audioset_mini) and
spoken words (DATA/speech_commands), see docs/data.md, start at random times and
levels over recorded or generated noise; a few clips have noise alone. Parts of
sounds are used, at a random speed. ``events.tsv`` has onsets and offsets,
``attribution.csv`` the authors and licences of the recordings.

The recordings are in five folds: those of ESC-10; instruments by recording
session, words by speaker. One fold is for the evaluation, the next one for
validation. The clips of a split are made of its recordings and noises alone.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import logging
from pathlib import Path
from typing import NamedTuple

from mixtures import RATE, Mixer, Sound, write_mixtures

from fftp_tag.audio.decode import read_audio
from fftp_tag.data.audioset import read_classes
from fftp_tag.data.names import text_digest
from fftp_tag.data.prepared import preparing
from fftp_tag.data.word_splits import NOISE_FOLDER, SILENCE, speaker_of
from fftp_tag.errors import InputError, one_line_errors
from fftp_tag.files import write_csv

FOLDS = 5
SESSION = 20  # maximum gap of Freesound's ids within a recording session
# Two clips whose licence, Sampling+, does not fit a model that is given away
EXCLUDED = ("1-40730-A.flac", "2-96460-A.flac")

SPEECH = "/m/09x0r"
# Mids of AudioSet
MIDS = {
    "dog_bark": "/m/0bt9lr",
    "rooster": "/m/09b5t",
    "rain": "/m/06mb1",
    "sea_waves": "/m/034srq",
    "fire_crackling": "/m/02_41",
    "baby_cry": "/t/dd00002",
    "person_sneeze": "/m/01hsr_",
    "clock_tick": "/m/07qjznl",
    "helicopter": "/m/09ct_",
    "chainsaw": "/m/01j4z9",
    "Acoustic_guitar": "/m/042v_gx",
    "Bass_drum": "/m/0bm02",
    "Cello": "/m/01xqw",
    "Clarinet": "/m/01wy6",
    "Double_bass": "/m/02fsn",
    "Flute": "/m/0l14j_",
    "Hi_hat": "/m/03qtq",
    "Saxophone": "/m/06ncr",
    "Snare_drum": "/m/06rvn",
    "Violin_or_fiddle": "/m/07y_7",
}
# In AudioSet's order
CLASSES = {
    mid: name
    for mid, name in read_classes().items()
    if mid in (SPEECH, *MIDS.values())
}
SPEECH_WEIGHT = 4  # Speech is drawn so many times as often as another class


class Recording(NamedTuple):
    """A recording of one sound."""

    path: Path
    mid: str
    fold: int


def prepare_starter(
    data,
    prepared_folder,
    *,
    test_fold=5,
    leave_out=(),
    num_train=20000,
    num_valid=500,
    num_eval=500,
    seed=0,
):
    """Mixes the clips into a prepared folder, unless it exists.

    Arguments
    ---------
    data : str
        Folder of esc10, audioset_mini and speech_commands.
    prepared_folder : str
        Folder to write to.
    test_fold : int
        1 to 5, the recordings of the evaluation; those of the next fold, after
        5 of fold 1, are for validation.
    leave_out : list of str
        Sounds that are not used, such as dog_bark or Cello.
    num_train, num_valid, num_eval : int
        Number of clips.
    seed : int
        Seed of the mixtures.

    Raises
    ------
    InputError
        If the folder holds other data, or a sound to leave out is unknown.
    """
    sizes = {"train": num_train, "valid": num_valid, "eval": num_eval}
    settings = {
        "seed": seed,
        "test_fold": test_fold,
        "leave_out": sorted(leave_out),
        **sizes,
    }
    with preparing(prepared_folder, settings) as to_do:
        if to_do:
            mixer = make_mixer(Path(data), test_fold, leave_out, seed)
            write_mixtures(prepared_folder, mixer, sizes)
            write_attribution(Path(data), Path(prepared_folder))


def write_attribution(data, folder):
    """Writes attribution.csv: where the recordings are from."""
    rows = [
        ("Speech Commands v0.02", "", "", "Google", "CC BY 4.0"),
    ]
    for name, columns in (
        ("esc10/attribution.csv", ("title", "author")),
        ("audioset_mini/clips.csv", ("source_clip", None)),
    ):
        with open(data / name, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get("file") not in EXCLUDED:
                    title, author = (row.get(x, "") for x in columns)
                    number = row["freesound_id"]
                    origin = name.partition("/")[0]
                    rows.append((origin, number, title, author, row["license"]))
    header = ("origin", "freesound_id", "title", "author", "license")
    write_csv(folder / "attribution.csv", header, rows)


def make_mixer(data, test_fold, leave_out, seed):
    """Reads the sounds and noises; see ``prepare_starter``."""
    if wrong := set(leave_out) - set(MIDS):
        raise InputError(f"leave_out: {wrong.pop()} is none of {set(MIDS)}.")
    out = {MIDS[name] for name in leave_out}
    recordings = [
        *list_everyday(data / "esc10"),
        *list_instruments(data / "audioset_mini"),
        *list_words(data / "speech_commands"),
    ]
    paths = list_noises(data / "speech_commands")
    sounds, noises = {}, {}
    for split, folds in split_folds(test_fold).items():
        sounds[split] = [
            Sound((x.mid,), read_audio(x.path, RATE), x.mid == SPEECH)
            for x in recordings
            if x.fold in folds and x.mid not in out
        ]
        noises[split] = [
            read_audio(path, RATE)
            for number, path in enumerate(paths)
            if number % FOLDS + 1 in folds
        ]
    classes = {x: name for x, name in CLASSES.items() if x not in out}
    return Mixer(sounds, noises, classes, seed, {SPEECH: SPEECH_WEIGHT})


def split_folds(test_fold):
    """The folds of each split."""
    valid = test_fold % FOLDS + 1
    others = set(range(1, FOLDS + 1)) - {test_fold, valid}
    return {"train": others, "valid": {valid}, "eval": {test_fold}}


def list_everyday(folder):
    """The sounds of ESC-10, in its own folds."""
    with open(folder / "esc10.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["file"] not in EXCLUDED:
                path = folder / "audio" / row["file"]
                yield Recording(path, MIDS[row["label"]], int(row["fold"]))


def list_instruments(folder):
    """The notes; the sessions of an instrument are dealt to folds in turn."""
    for path, label, session, _ in list_notes(folder):
        yield Recording(path, MIDS[label], session % FOLDS + 1)


def list_notes(folder):
    """Path, label, session from 0 and the session's first number of each note."""
    with open(folder / "clips.csv", newline="", encoding="utf-8") as file:
        rows = [
            (row["source_label"], int(row["freesound_id"]), row["ytid"])
            for row in csv.DictReader(file)
        ]
    last_label, last_number, session, first = None, 0, 0, 0
    for label, number, clip_id in sorted(rows):
        if label != last_label:
            session, first = 0, number
        elif number - last_number > SESSION:
            session, first = session + 1, number
        last_label, last_number = label, number
        path = folder / "audio" / f"{clip_id}.flac"
        yield path, label, session, first


def list_words(folder):
    """The words; speakers are dealt to folds by their hash."""
    for path in sorted(folder.glob("*/*.*")):
        word = path.parent.name
        if word in (SILENCE, NOISE_FOLDER):
            continue
        speaker = speaker_of(f"{word}/{path.name}")
        fold = int(text_digest(speaker), 16) % FOLDS + 1
        yield Recording(path, SPEECH, fold)


def list_noises(folder):
    """The recordings of noise, dealt to folds in turn."""
    found = sorted(Path(folder, NOISE_FOLDER).iterdir())
    return [path for path in found if path.suffix in (".flac", ".wav")]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data")
    parser.add_argument("prepared_folder")
    parser.add_argument(
        "--test_fold", type=int, choices=range(1, FOLDS + 1), default=5
    )
    parser.add_argument("--leave_out", nargs="*", default=())
    with one_line_errors():
        prepare_starter(**vars(parser.parse_args()))
