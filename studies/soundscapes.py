"""Soundscapes of 10 s for the plans at base size, mixed from real clips.

Spoken words (DATA/speech_commands) and instrument notes (DATA/audioset_mini)
are mixed as own sounds are, see fftp_tag/data/mixtures.py. Speakers
and recording sessions are divided into six disjoint folds. A fold is trained on
the sources of the five others, of which a twelfth is for validation; all share
the recorded noises. The fold ``search``, for the choice of options, divides the
sources that fold 1 is trained on.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "recipes" / "Starter"))
from starter_prepare import list_noises, list_notes

from fftp_tag.audio.decode import read_audio
from fftp_tag.data.mixtures import RATE, WHOLE, Mixer, write_mixtures
from fftp_tag.data.prepared import preparing
from fftp_tag.data.word_splits import NOISE_FOLDER, SILENCE, UNKNOWN, speaker_of
from studies.plan import SEARCH

FOLDS = 6
INNER = 12  # one of this many parts of the training clips is for validation
AUDIO = (".wav", ".flac")
OTHERS = (SILENCE, UNKNOWN, NOISE_FOLDER)  # folders without words
SOURCES = "sources.npz"


class Clip(NamedTuple):
    """A clip: its class, and its group, a speaker or a recording session."""

    path: Path
    label: str
    group: str


class Recording(NamedTuple):
    """A clip's samples ``[S]``, in the form that ``Mixer`` takes."""

    labels: tuple
    wav: np.ndarray
    is_whole: bool
    group: str


def list_words(folder):
    """The clips of words of a Speech Commands folder."""
    clips = []
    for path in sorted(folder.glob("*/*.*")):
        word = path.parent.name
        if word not in OTHERS and path.suffix in AUDIO:
            speaker = speaker_of(f"{word}/{path.name}")
            clips.append(Clip(path, word, speaker))
    return clips


def list_instruments(folder):
    """The clips of a folder of notes with a clips.csv."""
    return [
        Clip(path, label.replace("_", " "), f"{label} {first}")
        for path, label, _, first in list_notes(folder)
    ]


def parts(clips, count):
    """The clips of each of ``count`` parts, stratified by class."""
    labels = [clip.label for clip in clips]
    groups = [clip.group for clip in clips]
    folds = StratifiedGroupKFold(count).split(clips, labels, groups)
    return [[clips[i] for i in test] for _, test in folds]


def split_clips(data, fold):
    """The clips of each split of a fold; splits do not share groups."""
    splits = {"train": [], "valid": [], "eval": []}
    for clips in (
        list_words(data / "speech_commands"),
        list_instruments(data / "audioset_mini"),
    ):
        tests = parts(clips, FOLDS)
        test = tests.pop(0 if fold == SEARCH else fold - 1)
        if fold == SEARCH:
            test, *tests = parts(sum(tests, []), FOLDS)
        valid, *train = parts(sum(tests, []), INNER)
        splits["train"] += sum(train, [])
        splits["valid"] += valid
        splits["eval"] += test
    return splits


def read_clip(clip):
    """Reads a clip; notes that are long are not mixed whole."""
    wav = read_audio(clip.path, RATE)
    return Recording((clip.label,), wav, len(wav) <= WHOLE * RATE, clip.group)


def mix_fold(data, folder, fold, sizes):
    """Mixes the clips of a fold into a prepared folder, unless it exists.

    ``sizes`` has the number of clips of each split. sources.npz lists the sounds
    of the evaluation clips: the clip, the class and the source of each.
    """
    with preparing(folder, {"fold": fold, **sizes}) as to_do:
        if not to_do:
            return
        noises = [
            read_audio(path, RATE)
            for path in list_noises(data / "speech_commands")
        ]
        sounds = {
            split: list(map(read_clip, clips))
            for split, clips in split_clips(data, fold).items()
        }
        labels = sorted({sound.labels[0] for sound in sounds["train"]})
        mixer = Mixer(
            sounds,
            dict.fromkeys(sizes, noises),
            {label: label for label in labels},
            0 if fold == SEARCH else fold,
        )
        write_mixtures(folder, mixer, sizes)
        columns = zip(
            *(
                (i, labels.index(event.sound.labels[0]), event.sound.group)
                for i in range(sizes["eval"])
                for event in mixer.draw(f"eval{i:06d}", "eval").events
            )
        )
        names = ("clips", "classes", "sources")
        np.savez_compressed(folder / SOURCES, **dict(zip(names, columns)))
