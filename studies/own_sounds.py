"""Measures ``fftp-tag learn``: accuracy of clips, F1 of events, and time.

Declared before the runs; options of ``learn`` were chosen on other draws and
soundscapes. DATA holds speech_commands and audioset_mini, see docs/data.md.

* **words**: down, go, off and up, learnt from ten one-second clips of each by
  the training speakers, and scored on all clips by the testing speakers, with an
  encoder trained on six other words of the training speakers;
* **instruments**: the ten of audioset_mini, cut after 4 s, on the demo's encoder.
  In each draw, recording sessions are assigned at random to a pool of at least 22
  clips of each instrument and to the test clips.

Both are also scored 20 dB quieter. Intervals (95 %) are Student's t over draws.

* **events**: ten clips of each of the 20 words and instruments (of at most 3 s,
  from the training part of a fold) are learnt on the demo's encoder with noise
  recordings as background, and looked for in 100 soundscapes of 10 s of other
  speakers and sessions in the same noise, dense (1 to 6 sounds, which overlap;
  soundscapes.py) or sparse (2 sounds apart), with the rules of the model and
  with those below. Intervals are from a bootstrap over soundscapes. Time is that
  of a timeline, against the model that the encoder is from;
* **codecs**: four of these classes alone, in 24 sparse soundscapes, as WAV, MP3,
  Opus and at 8 kHz, all written by ffmpeg.

The script uses no internals, so it also runs at older commits: --name tells their
rows apart, which are added to studies/results/tables/own_sounds.json.

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
import dataclasses
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.stats import ttest_1samp

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import harness

from fftp_tag import AudioTagger, learn
from fftp_tag.score.events import overlap_scores, pair_events
from speechbrain_fftp.datasets.speech_commands import NOISE_FOLDER
from studies import soundscapes
from studies.folds import audioset_clips, speech_commands_clips

TABLES = ROOT / "studies" / "results" / "tables"
RATE = soundscapes.RATE
KNOWN = ("left", "no", "on", "right", "stop", "yes")
WORDS = ("down", "go", "off", "up")
SECONDS = 4  # of an instrument
POOL = 22  # minimum number of clips of an instrument to learn from
COUNT, DRAWS, QUIET = 10, 20, 0.1  # the last is -20 dB
FOLD, SCAPES, RESAMPLES = 1, 100, 200
# Thresholds, the shortest event, and what events last above
RULES = {"of the model": None, "0.3, 0.5 s": (0.3, 0.5)}
FEW_CLASSES = ("Cello", "Flute", "Snare drum", "up")
CODECS = {  # file extension and options of ffmpeg
    "wav": ("wav",),
    "mp3, 128 kbit/s": ("mp3", "-b:a", "128k"),
    "mp3, 48 kbit/s": ("mp3", "-b:a", "48k"),
    "opus, 32 kbit/s": ("opus", "-b:a", "32k"),
    "wav, 8 kHz": ("wav", "-ar", "8000"),
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


def clip_accuracies(data, model, draws):
    """Accuracy of each draw in %, as recorded and quiet; and CPU seconds."""
    tagger = AudioTagger.from_pretrained(model, threads=1)
    found, seconds = {1.0: [], QUIET: []}, []
    for draw in draws:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "clips")
            for number, clip in enumerate(draw.learnt):
                (folder / clip.label).mkdir(parents=True, exist_ok=True)
                path = folder / clip.label / f"{clip.group} {number}.wav"
                soundfile.write(path, read_clip(data, clip), RATE)
            start = time.process_time()
            learn(tagger, folder, Path(scratch, "my.onnx"))
            seconds.append(time.process_time() - start)
            learnt = AudioTagger.from_pretrained(
                Path(scratch, "my.onnx"), threads=1
            )
        for gain in found:
            right = [
                learnt.labels[
                    learnt.clip_probabilities(
                        np.float32(gain) * read_clip(data, clip), RATE
                    ).argmax()
                ]
                == clip.label
                for clip in draw.tested
            ]
            found[gain].append(100 * float(np.mean(right)))
    return found, float(np.mean(seconds))


def write_clips(folder, sounds):
    """Writes clips of each class into its folder."""
    rng = random.Random(0)
    for label, paths in sounds.items():
        (folder / label).mkdir(parents=True)
        paths = sorted(paths)
        for path in rng.sample(paths, min(COUNT, len(paths))):
            wav = soundscapes.read(path)[: int(soundscapes.MAX_SECONDS * RATE)]
            name = f"{path.parent.name}-{path.stem}.flac"
            soundfile.write(folder / label / name, wav, RATE)


def read_sounds(data):
    """The sounds of a fold by split and label, and the noises."""
    words = data / "speech_commands"
    sounds = soundscapes.fold_sounds(words, data / "audioset_mini")[FOLD]
    paths = sorted((words / NOISE_FOLDER).glob("*.flac"))
    return sounds, [soundscapes.read(path) for path in paths]


def learn_sounds(tagger, data, sounds):
    """A tagger that has learnt a few clips of each class."""
    noises = data / "speech_commands" / NOISE_FOLDER
    with tempfile.TemporaryDirectory() as scratch:
        clips, path = Path(scratch, "clips"), Path(scratch, "my.onnx")
        write_clips(clips, sounds["train"])
        learn(tagger, clips, path, background=noises)
        return AudioTagger.from_pretrained(path, threads=1)


def mix_sparse(rng, sounds, noise):
    """A soundscape with a sound in each half; returns it and its events."""
    length = soundscapes.SECONDS * RATE
    start = rng.integers(0, len(noise) - length)
    scene = noise[start : start + length].copy()
    level = np.exp(rng.uniform(*np.log(soundscapes.NOISE_LEVEL)))
    scene *= level / scene.std()
    events = []
    labels = rng.choice(list(sounds), 2, replace=False)
    for half, label in enumerate(labels):
        path = sounds[label][rng.integers(len(sounds[label]))]
        wav = soundscapes.load_sound(path, rng)
        wav = wav[: int(soundscapes.MAX_SECONDS * RATE)]
        first = half * length // 2
        first += int(rng.integers(0, length // 2 - len(wav)))
        decibels = rng.uniform(*soundscapes.SNR_DB)
        scene[first : first + len(wav)] += (
            level * 10 ** (decibels / 20) / wav.std() * wav
        )
        end = first + len(wav)
        events.append((first / RATE, end / RATE, str(label)))
    return scene, events


def overlap_f1(timelines, truth, names, labels):
    """F1 in % of the events in soundscapes, of which some may be repeated."""
    chosen = {f"{n} {name}": name for n, name in enumerate(names)}
    pairs = pair_events(
        {key: timelines[name] for key, name in chosen.items()},
        {key: truth[name] for key, name in chosen.items()},
        labels,
    )
    return 100 * overlap_scores(pairs)["overlap_F1"]


def event_rows(data, model, name):
    """Rows of F1 and time."""
    sounds, noises = read_sounds(data)
    tagger = AudioTagger.from_pretrained(model, threads=1)
    learnt = learn_sounds(tagger, data, sounds)
    rows = []
    mixers = {"dense": soundscapes.mix, "sparse": mix_sparse}
    for seed, (kind, mix) in enumerate(mixers.items()):
        rng = np.random.default_rng(seed)
        wavs, truth = [], []
        for _ in range(SCAPES):
            noise = noises[rng.integers(len(noises))]
            wav, events = mix(rng, sounds["eval"], noise)
            wavs.append(wav.astype(np.float32))
            truth.append(events)
        start = time.process_time()
        timelines = [learnt.analyze(wav, RATE) for wav in wavs]
        middle = time.process_time()
        for wav in wavs:
            tagger.analyze(wav, RATE)
        ratio = (middle - start) / (time.process_time() - middle)
        draws = [rng.integers(SCAPES, size=SCAPES) for _ in range(RESAMPLES)]
        row = {"code": name, "soundscapes": kind}
        for text, values in RULES.items():
            ruled = timelines
            if values is not None:
                ruled = [
                    with_rules(timeline, *values) for timeline in timelines
                ]
            scores = [
                overlap_f1(ruled, truth, names, learnt.labels)
                for names in [range(SCAPES), *draws]
            ]
            low, high = np.percentile(scores[1:], [2.5, 97.5])
            row[f"F1, rules {text}"] = (
                f"{scores[0]:.1f} [{low:.1f}, {high:.1f}]"
            )
        row["time to the encoder's own"] = f"{ratio:.2f}"
        rows.append(row)
    return rows


def codec_rows(data, model, name):
    """Rows of events after coding."""
    sounds, noises = read_sounds(data)
    sounds = {
        split: {label: own[label] for label in FEW_CLASSES}
        for split, own in sounds.items()
    }
    tagger = AudioTagger.from_pretrained(model, threads=1)
    learnt = learn_sounds(tagger, data, sounds)
    rng = np.random.default_rng(0)
    timelines, truth = {codec: {} for codec in CODECS}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(24):
            noise = noises[rng.integers(len(noises))]
            wav, truth[number] = mix_sparse(rng, sounds["eval"], noise)
            scape = Path(scratch, "scape.wav")
            soundfile.write(scape, wav.astype(np.float32), RATE)
            for codec, (extension, *options) in CODECS.items():
                coded = Path(scratch, f"coded.{extension}")
                subprocess.run(
                    ["ffmpeg", "-v", "error", "-y", "-i", scape]
                    + [*options, coded],
                    check=True,
                )
                timelines[codec][number] = learnt.analyze(coded)
    counts = {
        codec: np.array([len(x.events()) for x in found.values()])
        for codec, found in timelines.items()
    }
    return [
        {
            "code": name,
            "codec": codec,
            "events": int(counts[codec].sum()),
            "most more or fewer in one": int(
                np.abs(counts[codec] - counts["wav"]).max()
            ),
            "F1": f"{overlap_f1(found, truth, list(truth), learnt.labels):.1f}",
        }
        for codec, found in timelines.items()
    ]


def with_rules(timeline, threshold, seconds):
    """A timeline with one threshold, joined gaps and a shortest event."""
    one = np.ones(len(timeline.labels), np.float32)
    rules = dataclasses.replace(
        timeline.rules,
        low=threshold * one,
        high=threshold * one,
        threshold=threshold * one,
        merge_gap=seconds * np.ones(len(one)),
        min_duration=seconds * np.ones(len(one)),
    )
    return dataclasses.replace(timeline, rules=rules)


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
    words = list_words(data / "speech_commands")
    instruments = audioset_clips(data / "audioset_mini")
    seeds = range(args.draws)
    kinds = {
        "words": (args.words, [draw_words(words, seed) for seed in seeds]),
        "instruments": (
            args.demo,
            [draw_instruments(instruments, seed) for seed in seeds],
        ),
    }
    events = event_rows(data, args.demo, args.name)
    print(json.dumps(events, indent=2), flush=True)
    codecs = codec_rows(data, args.demo, args.name)  # fails without ffmpeg
    clips = []
    for kind, (model, draws) in kinds.items():
        found, seconds = clip_accuracies(data, model, draws)
        row = {"code": args.name, "classes": kind}
        for gain, values in found.items():
            level = f"{20 * np.log10(gain):.0f} dB"
            interval = ttest_1samp(values, 0).confidence_interval()
            row[level] = (
                f"{np.mean(values):.1f} [{interval.low:.1f}, "
                f"{interval.high:.1f}]"
            )
            row[f"draws, {level}"] = {"accuracy": values}
        row["CPU seconds to learn"] = f"{seconds:.1f}"
        clips.append(row)
        print(json.dumps(row), flush=True)
    stored = TABLES / "own_sounds.json"
    before = json.loads(stored.read_text()) if stored.exists() else {}
    sections = {}
    for title, rows in (
        ("Clips", clips),
        ("Events", events),
        ("Codecs", codecs),
    ):
        others = before.get(title, {"rows": []})["rows"]
        others = [row for row in others if row["code"] != args.name]
        sections[title] = NOTES[title], [*others, *rows]
    about = harness.environment("cpu")
    harness.write_results("own_sounds", about, sections, TABLES)


NOTES = {
    "Clips": f"Accuracy in % after learning from {COUNT} clips of each class, "
    "on clips as recorded and 20 dB quieter, the mean of the draws with its "
    "interval over draws.",
    "Events": f"F1 in % of events that overlap by half, 20 classes in {SCAPES} "
    "soundscapes of each kind.",
    "Codecs": "Events that four classes find in 24 sparse soundscapes with two "
    "sounds each, and their F1 in %.",
}

if __name__ == "__main__":
    main()
