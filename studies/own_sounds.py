"""Measures ``fftp-tag learn`` on the starter model: tags, events, false alarms.

A few clips of each class are learnt with and without background, as by
``fftp-tag learn FOLDER [--background room.wav]``, and are scored beside log-mel
statistics with the same discriminant analysis. DATA holds esc10, audioset_mini
and speech_commands, see docs/data.md.

The starter has learnt the classes, but not these recordings: they are of folds 1
and 5 (recipes/Starter/README.md). It knows the other words, of all folds, as speech
only. In each draw, the clips to learn from and those to be scored are of other
recordings, sessions or speakers. A room is made of noises and of other kinds of
sounds; those of the scored room and of the field recording, with sounds to be
found in it, are held back as well. How probabilities and events are found was
chosen on other draws.

Writes studies/results/tables/own_sounds.json, in 10 CPU minutes:

> python studies/own_sounds.py DATA

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import random
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "benchmarks"),
    str(ROOT / "recipes" / "Starter"),
]
from starter_prepare import (
    list_everyday,
    list_instruments,
    list_noises,
    list_notes,
    list_words,
)

from fftp_tag import AudioTagger, learn
from fftp_tag.audio.decode import read_audio
from fftp_tag.data.mixtures import NOISE_LEVEL, RATE, SNR_DB, loud_part
from fftp_tag.data.word_splits import UNKNOWN, speaker_of
from fftp_tag.score.background import listen_to_background
from fftp_tag.score.events import event_metrics
from studies.tables import write_tables

FOLDS = (1, 5)  # which the starter has not learnt
COMMON = ("eight", "five", "nine", "one", "six", "three", "two", "zero")
# Classes of a draw, and clips of each to learn
SIZES = {
    "everyday sounds": (10, 8),
    "instruments": (10, 6),
    "words": (5, 10),
    "other words": (5, 10),
}
DRAWS = 3
MOST_TESTED = 12  # clips of a class
MOST_SOUNDS = 40  # of a field recording
SECONDS = 300  # of a room
SLOT, SOUND, NOISE = 10, 5, 20  # seconds with at most a sound; of it; of noise
NOTE = (
    "In %, the mean of three draws with the lowest and highest: of clips that were "
    "not learnt from, macro F1 of their tags, clips without a tag, and accuracy of "
    "the most probable class; of a field recording of five minutes, F1 of events that "
    "overlap by half. False alarms an hour in another room. CV: draws in which the "
    "interval of cross-validation contains the accuracy."
)


class Clip(NamedTuple):
    """A clip of a class."""

    path: Path
    label: str
    group: str


def list_clips(data):
    """The clips of each kind."""
    sessions = {
        path.stem: f"{label} {first}"
        for path, label, _, first in list_notes(data / "audioset_mini")
    }
    kinds = {kind: [] for kind in SIZES}
    for sound in list_everyday(data / "esc10"):
        if sound.fold in FOLDS:
            recording = sound.path.stem.rpartition("-")[0]
            clip = Clip(sound.path, sound.labels[0], recording)
            kinds["everyday sounds"].append(clip)
    for sound in list_instruments(data / "audioset_mini"):
        if sound.fold in FOLDS:
            clip = Clip(sound.path, sound.labels[0], sessions[sound.path.stem])
            kinds["instruments"].append(clip)
    for sound in list_words(data / "speech_commands"):
        path = sound.path
        word = path.parent.name
        speaker = speaker_of(f"{word}/{path.name}")
        if word == UNKNOWN and path.stem.partition("_")[0] in COMMON:
            clip = Clip(path, path.stem.partition("_")[0], speaker)
            kinds["other words"].append(clip)
        elif word != UNKNOWN and sound.fold in FOLDS:
            kinds["words"].append(Clip(path, word, speaker))
    return kinds


def draw_clips(clips, kind, seed):
    """Clips to learn from, and clips of other groups."""
    rng = random.Random(f"{kind}/{seed}")
    n_classes, count = SIZES[kind]
    learnt, tested = [], []
    labels = sorted({clip.label for clip in clips})
    for label in rng.sample(labels, n_classes):
        own = [clip for clip in clips if clip.label == label]
        groups = sorted({clip.group for clip in own})
        rng.shuffle(groups)
        pool = []
        while len(pool) < count:
            group = groups.pop()
            pool += [clip for clip in own if clip.group == group]
        learnt += rng.sample(pool, count)
        rest = [clip for clip in own if clip.group in groups]
        tested += rng.sample(rest, min(len(rest), MOST_TESTED))
    speakers = {clip.group for clip in learnt}  # of other classes as well
    return learnt, [clip for clip in tested if clip.group not in speakers]


def make_room(rng, noises, others, sounds=()):
    """Mixes noise with other sounds, and with those to be found.

    Returns the recording ``[S]`` and the events of the latter.
    """
    wav = np.zeros(SECONDS * RATE, np.float32)
    events, sounds = [], list(sounds)
    for start in range(0, len(wav), SLOT * RATE):
        if start % (NOISE * RATE) == 0:
            noise = noises[rng.integers(len(noises))][: NOISE * RATE]
            level = np.exp(rng.uniform(*np.log(NOISE_LEVEL)))
            wav[start:][: len(noise)] = noise * (level / noise.std())
        chance, label = rng.uniform(), None
        if sounds and chance < 0.75:
            path, label, _ = sounds.pop()
        elif chance < (0.9 if sounds else 0.5):
            path = others[rng.integers(len(others))].path
        else:
            continue
        sound, _ = loud_part(read_audio(path, RATE))
        sound = sound[: SOUND * RATE]
        first = start + int(rng.integers(SLOT * RATE - len(sound)))
        gain = level * 10 ** (rng.uniform(*SNR_DB) / 20) / sound.std()
        wav[first:][: len(sound)] += gain * sound
        if label is not None:
            end = first + len(sound)
            events.append((first / RATE, end / RATE, label))
    return wav / max(1.0, np.abs(wav).max()), events


def write_clips(data, folder, learnt, tested):
    """Writes a table of clips, those to be scored in the split eval."""
    folder.mkdir()
    (folder / "data").symlink_to(data)
    with open(folder / "clips.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "labels", "split", "group"))
        for split, clips in (("train", learnt), ("eval", tested)):
            for path, label, group in clips:
                path = Path("data", path.relative_to(data))
                table.writerow((path, label, split, group))


def measure(tagger, data, kinds, kind, seed, scratch):
    """Scores of a draw, by whether background is learnt."""
    rng = np.random.default_rng(seed)
    learnt, tested = draw_clips(kinds[kind], kind, seed)
    noises = list_noises(data / "speech_commands")
    noises = [read_audio(noises[x], RATE) for x in rng.permutation(len(noises))]
    others = [x for name in kinds if name not in kind for x in kinds[name]]
    others = [others[x] for x in rng.permutation(len(others))]
    room, _ = make_room(rng, noises[::2], others[::2])
    other, _ = make_room(rng, noises[1::2], others[1::2])
    chosen = [tested[x] for x in rng.permutation(len(tested))[:MOST_SOUNDS]]
    field, events = make_room(rng, noises[1::2], others[1::2], chosen)
    for name, wav in (("room", room), ("other", other)):
        soundfile.write(scratch / f"{name}.wav", wav, RATE)
    write_clips(data, scratch / "clips", learnt, tested)
    found = {}
    for name, background in (
        ("without", None),
        ("with", scratch / "room.wav"),
    ):
        output = scratch / f"{name}.onnx"
        report = learn(tagger, scratch / "clips", output, background)
        mine = AudioTagger.from_pretrained(output, threads=1)
        heard = listen_to_background(mine, [str(scratch / "other.wav")])
        macro_f1, no_tag, accuracy = (
            report.eval_scores[x] for x in ("macro_F1", "no_tag", "accuracy")
        )
        cv = report.validation.scores["accuracy"]
        timeline = mine.analyze(field, RATE)
        scores = event_metrics(
            {"field": timeline}, {"field": events}, mine.labels
        )
        found[name] = {
            "macro F1": 100 * macro_f1.value,
            "no tag": 100 * no_tag.value,
            "accuracy": 100 * accuracy.value,
            "log-mel: macro F1": 100 * macro_f1.without_encoder,
            "log-mel: accuracy": 100 * accuracy.without_encoder,
            "event F1": 100 * scores["overlap_F1"],
            "false alarms": 3600 * heard.together.count / heard.seconds,
            "CV": bool(cv.low <= accuracy.value <= cv.high),
        }
    return found


def row_of(draws):
    """The means of scores with their ranges, and how often booleans are true."""
    row = {}
    for name in draws[0]:
        values = [draw[name] for draw in draws]
        mean, low, high = np.mean(values), min(values), max(values)
        row[name] = f"{mean:.1f} [{low:.1f}, {high:.1f}]"
        if isinstance(values[0], bool):
            row[name] = f"{sum(values)} of {len(values)}"
    return row


def main():
    """Measures, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data.resolve()
    tagger = AudioTagger.from_pretrained("starter", threads=1)
    kinds = list_clips(data)
    rows = []
    for kind, (_, count) in SIZES.items():
        draws = []
        for seed in range(DRAWS):
            with tempfile.TemporaryDirectory() as scratch:
                found = measure(tagger, data, kinds, kind, seed, Path(scratch))
            draws.append(found)
            print(kind, seed, found, flush=True)
        for name in draws[0]:
            of_name = [draw[name] for draw in draws]
            rows.append(
                {
                    "classes": kind,
                    "clips of each": count,
                    "background": name,
                    **row_of(of_name),
                    "draws": {str(n): x for n, x in enumerate(of_name)},
                }
            )
    write_tables("own_sounds", {"Clips": (NOTE, rows)})


if __name__ == "__main__":
    main()
