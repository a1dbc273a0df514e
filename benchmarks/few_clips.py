"""Compares ways to learn a few classes from 1 to 50 clips of each.

Declared before the runs. DATA holds speech_commands (one-second words), and
audioset_mini (instruments). An encoder is trained on six words of the training
speakers; then four other words are learned from n clips of each, drawn from the
training speakers three times, and scored on all clips of these words by the
testing speakers (accuracy; no word that the encoder knows is among them). Ways:

a. logistic regression on the mean and the standard deviation of each log-mel
   band;
b. training from scratch, as README has it (ast_fftp_frames.yaml);
c. ``fftp-tag learn`` on the encoder of six words;
d. fine-tuning that encoder: b with ``--pretrained``.

b and d also get the validation speakers' clips, to choose their epochs. Nothing
was tuned. Contrasts, at 10 clips a class: c - a, c - b and d - c, paired over
draws, with 95 % intervals from a bootstrap over test speakers. Goal: c is at
least 5 points above a and b.

Beside that, whether it carries over: instruments (10 clips of each of ten,
scored on the other 20) by the encoder of words, and the four words by an encoder
of instruments, against a.

Trainings that are complete in FOLDER are not repeated.
Writes benchmarks/results/few_clips.json.

> python benchmarks/few_clips.py DATA FOLDER

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import json
import random
import re
import shutil
import time
from pathlib import Path

import harness
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fftp_tag import AudioTagger
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.lobes.features import KaldiFbank

ROOT = Path(__file__).resolve().parents[1]
KNOWN = ("down", "go", "left", "no", "off", "on")
WORDS = ("right", "stop", "up", "yes")
COUNTS = (1, 5, 10, 20, 50)
DRAWS = 3
RESAMPLES = 2000  # of the bootstrap
CONTRASTS = (("c", "a"), ("c", "b"), ("d", "c"))
TRAIN = """recipes/AudioSet/train.py hparams/ast_fftp_frames.yaml
    --embed_dim 192 --depth 4 --number_of_epochs 40 --batch_size 8 --lr 0.001
    --mixup_prob 0 --num_workers 0""".split()
WAYS = {
    "a": "logistic regression on log-mel bands",
    "b": "training from scratch",
    "c": "learn",
    "d": "fine-tuning",
}


def list_words(data, names):
    """Clips of words by split: path, word and speaker."""
    root = data / "speech_commands"
    split_of = {}
    for split in ("validation", "testing"):
        for line in (root / f"{split}_list.txt").read_text().split():
            split_of[line] = split
    clips = {"training": [], "validation": [], "testing": []}
    for name in names:
        for path in sorted((root / name).glob("*.flac")):
            key = f"{name}/{path.name}"
            speaker = re.sub("_nohash_.*", "", path.name)
            split = split_of.get(key, "training")
            clips[split].append((f"speech_commands/{key}", name, speaker))
    return clips


def list_instruments(data):
    """Clips of instruments: path, instrument and a group of their own."""
    with open(data / "audioset_mini" / "clips.csv", encoding="utf-8") as file:
        return [
            (f"audioset_mini/audio/{row['ytid']}.flac", row["source_label"],
             row["freesound_id"])
            for row in csv.DictReader(file)
        ]  # fmt: skip


def draw_clips(clips, count, seed):
    """So many clips of each class."""
    draw = random.Random(f"{count}/{seed}")
    chosen = []
    for name in sorted({name for _, name, _ in clips}):
        chosen += draw.sample([x for x in clips if x[1] == name], count)
    return chosen


def write_data(folder, data, **splits):
    """A data folder with a table of clips by split."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Not all of audioset_mini, which has lists of its own
    (folder / "audioset_mini").mkdir()
    for name in ("speech_commands", "audioset_mini/audio"):
        (folder / name).symlink_to(data.resolve() / name)
    with open(folder / "clips.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "labels", "split", "group"))
        for split, clips in splits.items():
            given = "" if split == "learned" else split
            for path, name, group in clips:
                writer.writerow((path, name, given, group))
    return folder


def train(folder, data_folder, *options):
    """Trains once; returns the inference folder and CPU seconds."""
    done = folder / "seconds.json"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        words = [*TRAIN, "--data_folder", data_folder]
        words += ["--output_folder", folder / "run", *options]
        with open(folder / "log.txt", "w") as log:
            status, minutes, _ = harness.run_recipe(words, cwd=ROOT, stdout=log)
        if status:
            raise SystemExit(f"few_clips: see {folder / 'log.txt'}")
        shutil.rmtree(folder / "run" / "save")
        shutil.rmtree(folder / "run" / "prepared")
        done.write_text(json.dumps(60 * minutes))
    return folder / "run" / "inference", json.loads(done.read_text())


def predict(model, data, clips):
    """The most probable class of each clip."""
    tagger = AudioTagger.from_pretrained(model, threads=1)
    return [
        tagger.labels[tagger.clip_probabilities(data / path).argmax()]
        for path, *_ in clips
    ]


def predict_by_bands(data, learned, tested):
    """Way a: predictions and CPU seconds."""
    fbank = KaldiFbank()
    start = time.process_time()

    def features(clips):
        """Mean and standard deviation of the bands of clips."""
        rows = []
        for path, *_ in clips:
            wav = torch.from_numpy(read_audio(data / path, 16000))
            bands = fbank(wav[None])[0]
            rows.append(torch.cat([bands.mean(0), bands.std(0)]).numpy())
        return np.stack(rows)

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(features(learned), [name for _, name, _ in learned])
    predicted = model.predict(features(tested)).tolist()
    return predicted, time.process_time() - start


def learn(encoder, folder, data_folder):
    """Way c: the model and CPU seconds, without loading the encoder."""
    tagger = AudioTagger.from_pretrained(encoder, threads=1)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    start = time.process_time()
    tagger.learn(data_folder, folder / "model.onnx")
    return folder, time.process_time() - start


def run_words(data, folder, encoder):
    """Predictions and seconds of each way, number of clips and draw."""
    clips = list_words(data, WORDS)
    tested = clips["testing"]
    found = {}
    for count in COUNTS:
        for seed in range(DRAWS):
            learned = draw_clips(clips["training"], count, seed)
            place = folder / f"{count}_{seed}"
            alone = write_data(place / "alone", data, learned=learned)
            both = write_data(
                place / "both",
                data,
                train=learned,
                valid=clips["validation"],
                eval=tested,
            )
            found["a", count, seed] = predict_by_bands(data, learned, tested)
            model, seconds = learn(encoder, place / "learned", alone)
            found["c", count, seed] = (predict(model, data, tested), seconds)
            for way, options in (("b", ()), ("d", ("--pretrained", encoder))):
                model, seconds = train(place / way, both, *options)
                found[way, count, seed] = (
                    predict(model, data, tested),
                    seconds,
                )
    return tested, found


def right(tested, predicted):
    """Whether each prediction is right."""
    return np.array([x[1] == y for x, y in zip(tested, predicted)], float)


def resample(tested):
    """Numbers of the clips of speakers drawn again, many times."""
    draw = np.random.default_rng(0)
    numbers = np.unique([x[2] for x in tested], return_inverse=True)[1]
    members = [np.flatnonzero(numbers == n) for n in range(numbers.max() + 1)]
    for _ in range(RESAMPLES):
        chosen = draw.integers(len(members), size=len(members))
        yield np.concatenate([members[number] for number in chosen])


def interval(values, samples):
    """The mean of values of clips, and its 95 % interval."""
    low, high = np.percentile(
        [values[rows].mean() for rows in samples], [2.5, 97.5]
    )
    return f"{100 * values.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def tabulate(tested, found):
    """Rows of accuracies, and of contrasts."""
    samples = list(resample(tested))
    hits = {}
    rows = []
    for way, text in WAYS.items():
        row = {"way": f"{way}. {text}"}
        for count in COUNTS:
            runs = [found[way, count, seed] for seed in range(DRAWS)]
            of_draws = [right(tested, predicted) for predicted, _ in runs]
            hits[way, count] = np.mean(of_draws, axis=0)
            row[f"{count}"] = interval(hits[way, count], samples)
        row["CPU seconds at 10"] = (
            f"{np.mean([found[way, 10, seed][1] for seed in range(DRAWS)]):.1f}"
        )
        harness.add_row(rows, row)
    contrasts = []
    for first, second in CONTRASTS:
        row = {"contrast": f"{first} - {second}"}
        for count in COUNTS:
            difference = hits[first, count] - hits[second, count]
            row[f"{count}"] = interval(difference, samples)
        harness.add_row(contrasts, row)
    return rows, contrasts


def carry_over(data, folder, encoders):
    """Rows of accuracies on classes of another kind, at 10 clips a class."""
    clips = list_words(data, WORDS)
    instruments = list_instruments(data)
    rows = []
    for seed in range(DRAWS):
        learned = draw_clips(instruments, 10, seed)
        rest = [clip for clip in instruments if clip not in learned]
        words = draw_clips(clips["training"], 10, seed)
        for classes, chosen, tested in (
            ("instruments", learned, rest),
            ("words", words, clips["testing"]),
        ):
            by_bands, _ = predict_by_bands(data, chosen, tested)
            row = {"classes": classes, "draw": seed}
            row["a"] = right(tested, by_bands).mean()
            for name, encoder in encoders.items():
                if classes == name == "instruments":
                    continue  # it was trained on these clips
                place = folder / f"carry_{classes}_{name}_{seed}"
                own = write_data(place / "data", data, learned=chosen)
                model, _ = learn(encoder, place / "learned", own)
                predicted = predict(model, data, tested)
                row[f"c, encoder of {name}"] = right(tested, predicted).mean()
            rows.append(row)
    table = []
    for classes in ("instruments", "words"):
        same = [row for row in rows if row["classes"] == classes]
        means = {"classes": classes}
        for name in ("a", *(f"c, encoder of {name}" for name in encoders)):
            if name not in same[0]:
                means[name] = "-"
                continue
            values = [100 * row[name] for row in same]
            means[name] = (
                f"{np.mean(values):.1f} ({min(values):.1f} to "
                f"{max(values):.1f})"
            )
        harness.add_row(table, means)
    return table


def main():
    """Runs what is missing, and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    data, folder = args.data.resolve(), args.folder.resolve()
    known = list_words(data, KNOWN)
    own = write_data(
        folder / "known",
        data,
        train=known["training"],
        valid=known["validation"],
        eval=known["testing"],
    )
    encoder, seconds = train(folder / "encoder", own)
    instruments = list_instruments(data)
    other = write_data(folder / "instruments", data, learned=instruments)
    of_instruments, _ = train(folder / "encoder_of_instruments", other)
    tested, found = run_words(data, folder, encoder)
    rows, contrasts = tabulate(tested, found)
    table = carry_over(
        data,
        folder,
        {"words": encoder, "instruments": of_instruments},
    )
    rows[0]["predictions"] = {
        " ".join(map(str, key)): " ".join(predicted)
        for key, (predicted, _) in found.items()
    }
    note = (
        f"Accuracy in % on {len(tested)} clips of {len(WORDS)} words by "
        f"speakers that no model has heard, after learning from so many clips "
        f"of each; means of {DRAWS} draws, intervals over speakers. The encoder "
        f"of {len(KNOWN)} other words took {seconds / 60:.0f} CPU minutes. The "
        "time of b and d includes the export."
    )
    harness.write_results(
        "few_clips",
        harness.environment("cpu"),
        {
            "Words": (note, rows),
            "Differences in points": ("", contrasts),
            "Other kinds of classes": (
                "Accuracy in % at 10 clips of each class, mean (lowest to "
                f"highest) of {DRAWS} draws.",
                table,
            ),
        },
    )


if __name__ == "__main__":
    main()
