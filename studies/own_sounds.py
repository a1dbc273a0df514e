"""Measures ``fftp-tag learn``: accuracy of clips, F1 of events, and time.

Declared before the runs; options of ``learn`` were chosen on other draws and
soundscapes. DATA holds speech_commands and audioset_mini, see docs/data.md.

* **words**: down, go, off and up, learnt from ten one-second clips of each by
  the training speakers, and scored on all clips by the testing speakers, with
  an encoder trained on six other words of the training speakers;
* **instruments**: the ten of audioset_mini, cut after 4 s, on the demo's encoder.
  In each draw, recording sessions are assigned at random to a pool of at least
  22 clips of each instrument and to the test clips.

Both are also scored 20 dB quieter. Intervals (95 %) are Student's t over draws.

* **events**: ten clips of each of the 20 words and instruments (of at most 3 s,
  from the training part of a fold) are learnt on the demo's encoder with noise
  recordings as background, and looked for in 100 soundscapes of 10 s of other
  speakers and sessions in the same noise, dense (1 to 6 sounds, which overlap;
  soundscapes.py) or sparse (2 sounds apart). Intervals are from a bootstrap
  over soundscapes. Time is that of a timeline, against the model that the
  encoder is from.

The script uses no internals of ``learn``, so it also runs at older commits:
--name tells their rows apart, which are added to
studies/results/tables/own_sounds.json.

> python recipes/AudioSet/train.py hparams/ast_fftp_frames.yaml \
>     --data_folder KNOWN --output_folder WORDS --embed_dim 192 --depth 4 \
>     --number_of_epochs 40 --batch_size 8 --lr 0.001 --mixup_prob 0 --seed 4321
> python studies/own_sounds.py DATA WORDS results/demo

KNOWN is what --known writes: a folder of left, no, on, right, stop and yes.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.stats import bootstrap

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from fftp_tag import AudioTagger, learn
from fftp_tag.score.events import overlap_scores, pair_events
from speechbrain_fftp.datasets.word_splits import NOISE_FOLDER
from studies import soundscapes
from studies.folds import audioset_clips, speech_commands_clips
from studies.tables import mean_of, read_rows, write_tables

RATE = soundscapes.RATE
KNOWN = ("left", "no", "on", "right", "stop", "yes")
WORDS = ("down", "go", "off", "up")
SECONDS = 4  # of an instrument
POOL = 22  # minimum number of clips of an instrument to learn from
COUNT, DRAWS = 10, 20
LEVELS = {"0 dB": 1.0, "-20 dB": 0.1}
FOLD, SCAPES, RESAMPLES = 1, 100, 200
NOTES = {
    "Clips": f"Accuracy in % after learning from {COUNT} clips of each class, "
    "on clips as recorded and 20 dB quieter, the mean of the draws with its "
    "interval over draws.",
    "Events": f"F1 in % of events that overlap by half, 20 classes in {SCAPES} "
    "soundscapes of each kind.",
}


class Draw(NamedTuple):
    """The clips to learn from, and the test clips."""

    learnt: list
    tested: list


def list_words(data):
    """Clips by split, without copies."""
    split_of = {}
    for split in ("validation", "testing"):
        names = (data / f"{split}_list.txt").read_text().split()
        split_of.update(dict.fromkeys(names, split))
    words = {"training": [], "validation": [], "testing": []}
    seen = set()
    for clip in speech_commands_clips(data):
        content = (data / clip.name).read_bytes()
        if clip.label in KNOWN + WORDS and content not in seen:
            seen.add(content)
            words[split_of.get(clip.name, "training")].append(clip)
    return words


def write_known(data, folder):
    """Writes the data folder of the words encoder, with links to the clips."""
    folder.mkdir(parents=True)
    (folder / "clips").symlink_to(data / "speech_commands")
    splits = {"training": "train", "validation": "valid", "testing": "eval"}
    with open(folder / "clips.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "labels", "split"))
        for split, clips in list_words(data / "speech_commands").items():
            for clip in clips:
                if clip.label in KNOWN:
                    row = f"clips/{clip.name}", clip.label, splits[split]
                    writer.writerow(row)


def of_class(clips, label):
    """The clips of a class."""
    return [clip for clip in clips if clip.label == label]


def draw_words(words, seed):
    """Draws clips of each word."""
    rng = random.Random(f"words/{COUNT}/{seed}")
    learnt = []
    for label in WORDS:
        learnt += rng.sample(of_class(words["training"], label), COUNT)
        rng.sample(of_class(words["validation"], label), 3)
    tested = [clip for clip in words["testing"] if clip.label in WORDS]
    return Draw(learnt, tested)


def draw_instruments(clips, seed):
    """Draws clips of each instrument."""
    rng = random.Random(f"instruments/{COUNT}/{seed}")
    learnt, tested = [], []
    for label in sorted({clip.label for clip in clips}):
        own = of_class(clips, label)
        sessions = sorted({clip.group for clip in own})
        rng.shuffle(sessions)
        pool = []
        while len(pool) < POOL:
            session = sessions.pop()
            pool += [clip for clip in own if clip.group == session]
        rng.shuffle(pool)
        learnt += pool[:COUNT]
        tested += [clip for clip in own if clip.group in sessions]
    return Draw(learnt, tested)


def read_clip(data, clip):
    """The samples of a word, or the start of an instrument."""
    if "/" in clip.name:
        return soundscapes.read(data / "speech_commands" / clip.name)
    path = data / "audioset_mini" / "audio" / f"{clip.name}.flac"
    return soundscapes.read(path)[: SECONDS * RATE]


def learn_clips(tagger, clips, **options):
    """A tagger that has learnt samples, given with their label and a name."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, model = Path(scratch, "clips"), Path(scratch, "my.onnx")
        for label, name, wav in clips:
            (folder / label).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / label / name, wav, RATE)
        learn(tagger, folder, model, **options)
        return AudioTagger.from_pretrained(model, threads=1)


def accuracy(data, learnt, tested, gain):
    """Accuracy on clips in %."""
    right = 0
    for clip in tested:
        wav = np.float32(gain) * read_clip(data, clip)
        found = learnt.clip_probabilities(wav, RATE).argmax()
        right += learnt.labels[found] == clip.label
    return 100 * right / len(tested)


def clip_row(data, model, draws):
    """A row of accuracy."""
    tagger = AudioTagger.from_pretrained(model, threads=1)
    found = {level: [] for level in LEVELS}
    for draw in draws:
        learnt = learn_clips(
            tagger,
            [
                (clip.label, f"{clip.group} {n}.wav", read_clip(data, clip))
                for n, clip in enumerate(draw.learnt)
            ],
        )
        for level, gain in LEVELS.items():
            values = accuracy(data, learnt, draw.tested, gain)
            found[level].append(values)
    row = {level: mean_of(values) for level, values in found.items()}
    for level, values in found.items():
        row[f"draws, {level}"] = {"accuracy": values}
    return row


def learn_sounds(tagger, data, sounds):
    """A tagger that has learnt a few clips of each class."""
    rng, clips = random.Random(0), []
    for label, paths in sounds.items():
        paths = sorted(paths)
        for path in rng.sample(paths, min(COUNT, len(paths))):
            wav = soundscapes.read(path)[: int(soundscapes.MAX_SECONDS * RATE)]
            name = f"{path.parent.name}-{path.stem}.flac"
            clips.append((label, name, wav))
    noises = data / "speech_commands" / NOISE_FOLDER
    return learn_clips(tagger, clips, background=noises)


def mix_sparse(rng, sounds, noise):
    """A soundscape with a sound in each half; returns it and its events."""
    scene, level = soundscapes.background(rng, noise)
    half = len(scene) // 2
    events = []
    labels = rng.choice(list(sounds), 2, replace=False)
    for start, label in zip((0, half), labels):
        path = sounds[label][rng.integers(len(sounds[label]))]
        wav = soundscapes.load_sound(path, rng)
        wav = wav[: int(soundscapes.MAX_SECONDS * RATE)]
        first = start + int(rng.integers(0, half - len(wav)))
        end = first + len(wav)
        scene[first:end] += soundscapes.gain(rng, level, wav) * wav
        event = soundscapes.Event(first / RATE, end / RATE, str(label), path)
        events.append(event)
    return scene, events


def overlap_f1(timelines, truth, labels):
    """F1 of events in %, given those of each soundscape."""
    true = {str(n): [x[:3] for x in truth[n]] for n in range(len(truth))}
    pairs = pair_events(dict(zip(true, timelines)), true, labels)
    return 100 * overlap_scores(pairs)["overlap_F1"]


def event_row(tagger, learnt, sounds, noises, mix, rng):
    """A row of F1 and time."""
    wavs, truth = [], []
    for _ in range(SCAPES):
        noise = noises[rng.integers(len(noises))]
        wav, events = mix(rng, sounds, noise)
        wavs.append(wav.astype(np.float32))
        truth.append(events)
    start = time.process_time()
    timelines = [learnt.analyze(wav, RATE) for wav in wavs]
    middle = time.process_time()
    for wav in wavs:
        tagger.analyze(wav, RATE)
    ratio = (middle - start) / (time.process_time() - middle)

    def f1_of(numbers):
        """F1 of drawn soundscapes."""
        return overlap_f1(
            [timelines[n] for n in numbers],
            [truth[n] for n in numbers],
            learnt.labels,
        )

    low, high = bootstrap(
        (range(SCAPES),),
        f1_of,
        vectorized=False,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=rng,
    ).confidence_interval
    return {
        "F1, rules of the model": f"{f1_of(range(SCAPES)):.1f} "
        f"[{low:.1f}, {high:.1f}]",
        "time to the encoder's own": f"{ratio:.2f}",
    }


def measure_clips(data, words_model, demo, n_draws):
    """The rows of both kinds of clips."""
    words = list_words(data / "speech_commands")
    instruments = audioset_clips(data / "audioset_mini")
    seeds = range(n_draws)
    return [
        {"classes": kind, **clip_row(data, model, draws)}
        for kind, model, draws in (
            ("words", words_model, [draw_words(words, x) for x in seeds]),
            (
                "instruments",
                demo,
                [draw_instruments(instruments, x) for x in seeds],
            ),
        )
    ]


def measure_events(data, demo):
    """The rows of both kinds of soundscapes."""
    words = data / "speech_commands"
    sounds = soundscapes.fold_sounds(words, data / "audioset_mini")[FOLD]
    noises = soundscapes.read_noises(words)
    tagger = AudioTagger.from_pretrained(demo, threads=1)
    learnt = learn_sounds(tagger, data, sounds["train"])
    rows = []
    mixers = {"dense": soundscapes.mix, "sparse": mix_sparse}
    for seed, (kind, mix) in enumerate(mixers.items()):
        rng = np.random.default_rng(seed)
        row = event_row(tagger, learnt, sounds["eval"], noises, mix, rng)
        rows.append({"soundscapes": kind, **row})
    return rows


def main():
    """Measures, and adds rows to the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("words", type=Path, help="model of six other words")
    parser.add_argument("demo", type=Path, help="the demo's model")
    parser.add_argument("--name", default="spans", help="of the code")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--known", type=Path, help="write this folder instead")
    args = parser.parse_args()
    data = args.data.resolve()
    if args.known is not None:
        write_known(data, args.known)
        return
    measured = {
        "Clips": measure_clips(data, args.words, args.demo, args.draws),
        "Events": measure_events(data, args.demo),
    }
    sections = {}
    for title, rows in measured.items():
        others = [
            row
            for row in read_rows("own_sounds", title)
            if row["code"] != args.name
        ]
        ours = [{"code": args.name, **row} for row in rows]
        sections[title] = NOTES[title], [*others, *ours]
    write_tables("own_sounds", sections)


if __name__ == "__main__":
    main()
