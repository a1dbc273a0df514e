"""Compares ways to learn a few classes from 1 to 20 clips of each.

Declared before the runs. DATA holds speech_commands and audioset_mini, see
docs/data.md.

* **words**: down, go, off and up, from one-second clips of the training
  speakers, scored on all clips of these words by the testing speakers. The
  encoder is an AST of time steps, trained on the six other words of the training
  speakers.
* **instruments**: the ten of audioset_mini, cut after 4 s. In each draw,
  recording sessions are assigned at random to a pool of at least 22 clips of
  each instrument and to the test clips. The encoder is the demo's, trained on
  generated sounds alone.

Both encoders are trained by this script, with a different seed from the one
with which the options of ``learn`` were chosen (on other words and draws,
scored on the validation speakers). Methods:

a. logistic regression on the mean and standard deviation of each log-mel band;
b. training from scratch (ast_fftp_frames.yaml), with up to three clips per
   class by the validation speakers, or from the pool, to choose the epoch;
c. ``AudioTagger.learn`` with its default options;
d. logistic regression on the encoder's embedding of a clip, the mean of its
   tokens, as in an earlier ``learn``;
e. ``learn`` with the statistics of its log-mel bands alone.

a, c, d and e are run with twenty draws; b, which takes minutes, with ten draws of
ten clips and with three of 1, 5 and 20 clips. Contrasts, on the same draws:
c - a, c - b, c - d and c - e. Goal, at ten clips per class: c is at least 10
points above a, b and d on words and on instruments. Each difference has two
95 % intervals, Student's t over draws, and a bootstrap over draws and speakers
(or sessions) together; it counts only if neither contains 0.

Also declared: how often the interval that ``learn`` prints for its
cross-validation at 10 and 20 clips contains the accuracy on the test clips.
(After the first run, in which it did so in 18, 17, 12 and 12 of 20 draws, the
interval was made wider by the square root of 2.)

Completed parts in FOLDER are not repeated.
Writes studies/results/tables/few_clips.json.

> python studies/few_clips.py DATA FOLDER

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import json
import random
import shutil
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.stats import ttest_1samp
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import harness

import fftp_tag
from fftp_tag import AudioTagger
from fftp_tag.learning.features import N_TOKEN_STATISTICS, OUTPUT
from fftp_tag.learning.recordings import FeatureCache, Recording
from fftp_tag.learning.validate import Examples
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.dataio.files import file_sha256
from speechbrain_fftp.datasets.names import clip_ids
from studies.folds import audioset_clips, speech_commands_clips
from studies.plan import TABLES
from studies.run import REPORT

KNOWN = ("left", "no", "on", "right", "stop", "yes")
WORDS = ("down", "go", "off", "up")
INSTRUMENT_SECONDS = 4
POOL = 22  # minimum number of clips of an instrument to learn from
VALID = 3  # maximum number of validation clips of a class
COUNTS = (1, 5, 10, 20)
DRAWS = 20
TRAINING_DRAWS = {10: 10, 1: 3, 5: 3, 20: 3}  # by number of clips
SEED = 4321
RESAMPLES = 2000  # of the bootstrap
CONTRASTS = ("a", "b", "d", "e")  # methods that c is compared with
TRAIN = """recipes/AudioSet/train.py hparams/ast_fftp_frames.yaml
    --embed_dim 192 --depth 4 --number_of_epochs 40 --batch_size 8 --lr 0.001
    --mixup_prob 0 --num_workers 0 --noprogressbar""".split()
DEMO = """recipes/AudioSet/train.py hparams/demo.yaml --num_workers 0
    --noprogressbar""".split()
WAYS = {
    "a": "logistic regression on log-mel bands",
    "b": "training from scratch",
    "c": "learn",
    "d": "logistic regression on the embedding",
    "e": "learn, statistics of log-mel bands alone",
}


class Draw(NamedTuple):
    """The training, validation and test clips of a draw."""

    learnt: list
    valid: list
    tested: list


def cut_clips(data, folder):
    """Writes all clips below a folder: words, and the start of instruments.

    Returns words by split, and instruments. Copies of a clip are dropped.
    """
    split_of = {}
    for split in ("validation", "testing"):
        names = data / "speech_commands" / f"{split}_list.txt"
        split_of.update(dict.fromkeys(names.read_text().split(), split))
    words = {"training": [], "validation": [], "testing": []}
    seen = set()
    for clip in speech_commands_clips(data / "speech_commands"):
        content = (data / "speech_commands" / clip.name).read_bytes()
        if clip.label not in KNOWN + WORDS or content in seen:
            continue
        seen.add(content)
        (folder / clip.label).mkdir(parents=True, exist_ok=True)
        (folder / clip.name).write_bytes(content)
        words[split_of.get(clip.name, "training")].append(clip)
    instruments = []
    for clip in audioset_clips(data / "audioset_mini"):
        wav, rate = soundfile.read(
            data / "audioset_mini" / "audio" / f"{clip.name}.flac"
        )
        clip = clip._replace(name=f"{clip.label}/{clip.name}.flac")
        (folder / clip.label).mkdir(exist_ok=True)
        wav = wav[: INSTRUMENT_SECONDS * rate]
        soundfile.write(folder / clip.name, wav, rate)
        instruments.append(clip)
    return words, instruments


def of_class(clips, label):
    """The clips of a class."""
    return [clip for clip in clips if clip.label == label]


def draw_words(words, count, seed):
    """Draws ``count`` clips of each word."""
    rng = random.Random(f"words/{count}/{seed}")
    learnt, valid = [], []
    for label in WORDS:
        learnt += rng.sample(of_class(words["training"], label), count)
        valid += rng.sample(of_class(words["validation"], label), VALID)
    tested = [clip for clip in words["testing"] if clip.label in WORDS]
    return Draw(learnt, valid, tested)


def draw_instruments(instruments, count, seed):
    """Draws ``count`` clips of each instrument."""
    rng = random.Random(f"instruments/{count}/{seed}")
    learnt, valid, tested = [], [], []
    for label in sorted({clip.label for clip in instruments}):
        own = of_class(instruments, label)
        sessions = sorted({clip.group for clip in own})
        rng.shuffle(sessions)
        pool = []
        while len(pool) < POOL:
            session = sessions.pop()
            pool += [clip for clip in own if clip.group == session]
        rng.shuffle(pool)
        learnt += pool[:count]
        valid += pool[count : count + VALID]
        tested += [clip for clip in own if clip.group in sessions]
    return Draw(learnt, valid, tested)


def write_data(folder, clips_folder, **splits):
    """Writes a data folder with a table of clips by split, or "learnt"."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "clips").symlink_to(clips_folder)
    with open(folder / "clips.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "labels", "split", "group"))
        for split, clips in splits.items():
            given = "" if split == "learnt" else split
            for clip in clips:
                path = f"clips/{clip.name}"
                # The recipe gets splits, so it needs no groups
                group = clip.group if split == "learnt" else ""
                writer.writerow((path, clip.label, given, group))
    return folder


def train(folder, words):
    """Runs a training command once; returns CPU seconds."""
    done = folder / "seconds.json"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        words = [*words, "--seed", SEED, "--output_folder", folder / "run"]
        with open(folder / "log.txt", "w") as log:
            status, minutes, _ = harness.run_recipe(words, cwd=ROOT, stdout=log)
        if status:
            raise SystemExit(f"few_clips: see {folder / 'log.txt'}")
        shutil.rmtree(folder / "run" / "save")
        done.write_text(json.dumps(60 * minutes))
    return json.loads(done.read_text())


def train_on_draw(folder, data_folder, draw):
    """Method b: predictions for the test clips, and CPU seconds."""
    # Without an export: the recipe scores the test clips
    words = [*TRAIN, "--data_folder", data_folder, "--after"]
    words.append(REPORT.format("report_tagging"))
    seconds = train(folder, words)
    with np.load(folder / "run" / "probabilities.npz") as file:
        best = file["labels"][file["probs"].argmax(1)].tolist()
        predicted = dict(zip(file["ids"].tolist(), best))
    everything = [*draw.learnt, *draw.valid, *draw.tested]
    ids = clip_ids([f"clips/{clip.name}" for clip in everything])
    return [predicted[ids[f"clips/{x.name}"]] for x in draw.tested], seconds


def run_trainings(kinds, folder):
    """Predictions and seconds of method b by kind of class, count and draw."""
    found = {}
    for count, draws in TRAINING_DRAWS.items():
        for kind, (draw_clips, clips) in kinds.items():
            for seed in range(draws):
                draw = draw_clips(clips, count, seed)
                draw_folder = folder / f"{kind}_{count}_{seed}"
                data_folder = write_data(
                    draw_folder / "data",
                    folder / "clips",
                    train=draw.learnt,
                    valid=draw.valid,
                    eval=draw.tested,
                )
                found[kind, "b", count, seed] = train_on_draw(
                    draw_folder / "b", data_folder, draw
                )
    return found


def train_encoders(words, folder):
    """The model.onnx and CPU minutes of each encoder, by kind of class."""
    known = {
        split: [clip for clip in clips if clip.label in KNOWN]
        for split, clips in words.items()
    }
    data_folder = write_data(
        folder / "known",
        folder / "clips",
        train=known["training"],
        valid=known["validation"],
        eval=known["testing"],
    )
    encoder = folder / "encoder"
    seconds = {
        "words": train(
            encoder / "words", [*TRAIN, "--data_folder", data_folder]
        ),
        "instruments": train(encoder / "instruments", DEMO),
    }
    return {
        kind: (encoder / kind / "run/inference/model.onnx", cpu / 60)
        for kind, cpu in seconds.items()
    }


def classify(features, draw):
    """Predictions of a logistic regression, given the features by clip."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(
        [features[clip] for clip in draw.learnt],
        [clip.label for clip in draw.learnt],
    )
    return model.predict([features[clip] for clip in draw.tested]).tolist()


class Encoder:
    """Computes an encoder's features of clips, each clip once."""

    def __init__(self, path, clips_folder):
        self.tagger = AudioTagger.from_pretrained(path, threads=1)
        self.clips_folder = clips_folder
        self.bands, self.embeddings, self.own = {}, {}, {}

    def compute(self, clips, learnt_model):
        """Computes the features of clips, ``own`` with a learnt model."""
        for clip in clips:
            if clip in self.bands:
                continue
            path = self.clips_folder / clip.name
            wavs = read_audio(path, self.tagger.sample_rate)[None]
            features = self.tagger.model.run(["features"], wavs)[0][0]
            self.bands[clip] = np.concatenate(
                [features.mean(0), features.std(0)]
            )
            self.embeddings[clip] = self.tagger.embed_file(path)
            self.own[clip] = learnt_model.run([OUTPUT], wavs)[0]


def learn(encoder, draw_folder, draw):
    """Methods a, c, d and e: predictions, seconds, and the output of c."""
    data_folder = write_data(
        draw_folder / "data", encoder.clips_folder, learnt=draw.learnt
    )
    path = draw_folder / "model.onnx"
    start = time.process_time()
    report = fftp_tag.learn(encoder.tagger, data_folder, path)
    seconds = time.process_time() - start
    learnt = AudioTagger.from_pretrained(path, threads=1)
    encoder.compute([*draw.learnt, *draw.tested], learnt.model)
    predicted = []
    for clip in draw.tested:
        probs = learnt.clip_probabilities(encoder.clips_folder / clip.name)
        predicted.append(learnt.labels[probs.argmax()])
    found = {
        "a": (classify(encoder.bands, draw), None),
        "c": (predicted, seconds),
        "d": (classify(encoder.embeddings, draw), None),
        "e": (learn_bands(encoder, draw_folder, draw), None),
    }
    accuracy = report.validation.scores.get("accuracy")
    return found, accuracy and accuracy._asdict()


def learn_bands(encoder, draw_folder, draw):
    """Method e: predictions."""
    n_tokens = N_TOKEN_STATISTICS * len(next(iter(encoder.embeddings.values())))
    examples = stored_examples(encoder, draw_folder, draw).features_from(
        n_tokens
    )
    pieces = [encoder.own[clip][:, n_tokens:] for clip in draw.tested]
    return classify_pieces(examples, draw, pieces)


def stored_examples(encoder, draw_folder, draw):
    """The clips to learn from, with the features that ``learn`` has stored."""
    digest = file_sha256(encoder.tagger.model.path)
    known = FeatureCache(draw_folder / "model.onnx.npz", digest).known
    labels = sorted({clip.label for clip in draw.learnt})
    own = []
    for clip in draw.learnt:
        path = str(draw_folder / "data/clips" / clip.name)
        recording = Recording(path, has_copies=True)
        own.append(known[recording.key])
    targets = np.array(
        [[label == clip.label for label in labels] for clip in draw.learnt]
    )
    return Examples(
        names=[clip.name for clip in draw.learnt],
        groups=[clip.group for clip in draw.learnt],
        pieces=[features.pieces for features in own],
        copies=[features.copies for features in own],
        targets=targets.astype(np.float32),
    )


def classify_pieces(examples, draw, pieces):
    """Predictions for test clips, given the features of their pieces."""
    labels = sorted({clip.label for clip in draw.learnt})
    classifier = examples.learn(single_label=True)
    best = classifier.probabilities(pieces).argmax(1)
    return [labels[number] for number in best]


def run_learning(kinds, encoders, folder):
    """Predictions and seconds by kind, method, count and draw; output of c."""
    found, printed = {}, {}
    for kind, (draw_clips, clips) in kinds.items():
        encoder = Encoder(encoders[kind][0], folder / "clips")
        for count in COUNTS:
            for seed in range(DRAWS):
                draw_folder = folder / f"{kind}_{count}_{seed}" / "learnt"
                done = draw_folder.with_suffix(".json")
                if not done.exists():
                    result = learn(
                        encoder, draw_folder, draw_clips(clips, count, seed)
                    )
                    done.write_text(json.dumps(result))
                ways, accuracy = json.loads(done.read_text())
                for way, result in ways.items():
                    found[kind, way, count, seed] = result
                printed[kind, count, seed] = accuracy
    return found, printed


class Hits(NamedTuple):
    """Number of correct predictions by draw and group."""

    right: np.ndarray  # [draws, groups]
    tested: np.ndarray  # [draws, groups], number of clips


def count_hits(draws, predictions, groups):
    """The ``Hits`` of predictions for the test clips of draws."""
    right = np.zeros((len(draws), len(groups)))
    tested = np.zeros_like(right)
    for row, (draw, predicted) in enumerate(zip(draws, predictions)):
        for clip, label in zip(draw.tested, predicted):
            column = groups[clip.group]
            right[row, column] += label == clip.label
            tested[row, column] += 1
    return Hits(right, tested)


def intervals(hits, others=None):
    """Mean over draws in %, or of a difference, with its two intervals."""
    right = hits.right if others is None else hits.right - others.right
    values = 100 * right.sum(1) / hits.tested.sum(1)
    by_t = ttest_1samp(values, 0).confidence_interval()
    rng = np.random.default_rng(0)
    n_draws, n_groups = right.shape
    means = []
    for _ in range(RESAMPLES):
        rows = rng.multinomial(n_draws, np.full(n_draws, 1 / n_draws))
        columns = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups))
        shares = (right @ columns) / np.maximum(hits.tested @ columns, 1)
        means.append(100 * (rows @ shares) / n_draws)
    low, high = np.percentile(means, [2.5, 97.5])
    is_found = min(by_t.low, low) > 0 or max(by_t.high, high) < 0
    text = (
        f"{values.mean():.1f} [{by_t.low:.1f}, {by_t.high:.1f}] "
        f"[{low:.1f}, {high:.1f}]"
    )
    return text, is_found


def tabulate(kind, draw_clips, clips, found):
    """Makes the rows of accuracies and of contrasts."""
    everything = clips if kind == "instruments" else clips["testing"]
    names = sorted({clip.group for clip in everything})
    groups = {name: number for number, name in enumerate(names)}

    def hits_of(way, count, n_draws):
        """The ``Hits`` of the first draws."""
        draws = [draw_clips(clips, count, seed) for seed in range(n_draws)]
        predictions = [
            found[kind, way, count, seed][0] for seed in range(n_draws)
        ]
        return count_hits(draws, predictions, groups)

    rows, contrasts = [], []
    for way, text in WAYS.items():
        row = {"way": f"{way}. {text}"}
        for count in COUNTS:
            draws = TRAINING_DRAWS[count] if way == "b" else DRAWS
            row[str(count)] = intervals(hits_of(way, count, draws))[0]
        harness.add_row(rows, row)
    for way in CONTRASTS:
        row = {"contrast": f"c - {way}"}
        for count in COUNTS:
            draws = TRAINING_DRAWS[count] if way == "b" else DRAWS
            text, is_found = intervals(
                hits_of("c", count, draws), hits_of(way, count, draws)
            )
            row[str(count)] = text if is_found else f"{text}, not found"
        harness.add_row(contrasts, row)
    return rows, contrasts


def check_intervals(kinds, found, printed):
    """Counts how often the interval of c contains the accuracy of a draw."""
    rows = []
    for kind, (draw_clips, clips) in kinds.items():
        for count in (10, 20):
            inside, promised, reached = [], [], []
            for seed in range(DRAWS):
                draw = draw_clips(clips, count, seed)
                predicted = found[kind, "c", count, seed][0]
                true = [clip.label for clip in draw.tested]
                accuracy = np.mean(np.array(predicted) == true)
                score = printed[kind, count, seed]
                inside.append(score["low"] <= accuracy <= score["high"])
                promised.append(100 * score["value"])
                reached.append(100 * accuracy)
            harness.add_row(
                rows,
                {
                    "classes": kind,
                    "clips of each": count,
                    "draws inside": f"{sum(inside)} of {DRAWS}",
                    "cross-validation": f"{np.mean(promised):.1f}",
                    "test clips": f"{np.mean(reached):.1f}",
                },
            )
    return rows


def main():
    """Runs the missing parts, and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    data, folder = args.data.resolve(), args.folder.resolve()
    words, instruments = cut_clips(data, folder / "clips")
    kinds = {
        "words": (draw_words, words),
        "instruments": (draw_instruments, instruments),
    }
    encoders = train_encoders(words, folder)
    about = harness.environment("cpu")
    found = run_trainings(kinds, folder)
    learnt, printed = run_learning(kinds, encoders, folder)
    found.update(learnt)
    sections = {}
    for kind, (draw_clips, clips) in kinds.items():
        rows, contrasts = tabulate(kind, draw_clips, clips, found)
        rows[0]["predictions"] = {
            " ".join(map(str, key)): " ".join(predicted)
            for key, (predicted, _) in found.items()
            if key[0] == kind
        }
        seconds = {
            way: np.mean(
                [
                    cpu
                    for key, (_, cpu) in found.items()
                    if key[:3] == (kind, way, 10)
                ]
            )
            for way in ("b", "c")
        }
        sections[kind.capitalize()] = (
            f"Accuracy in % after learning from so many clips of each class; "
            f"the mean of {DRAWS} draws (b: {TRAINING_DRAWS[10]} of ten clips, "
            f"{TRAINING_DRAWS[1]} of others), its interval over draws, and that "
            f"over draws and speakers or sessions. The encoder took "
            f"{encoders[kind][1]:.1f} CPU minutes; of ten clips, b takes "
            f"{seconds['b']:.0f} CPU seconds and c {seconds['c']:.1f}.",
            rows,
        )
        sections[f"{kind.capitalize()}, differences in points"] = "", contrasts
    sections["Cross-validation"] = (
        "How often the interval that c prints for its accuracy contains that of "
        "the test clips, and both accuracies on average, in %.",
        check_intervals(kinds, found, printed),
    )
    harness.write_results("few_clips", about, sections, TABLES)


if __name__ == "__main__":
    main()
