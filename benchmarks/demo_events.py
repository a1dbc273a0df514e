"""Compares time steps with windows: events of the demo set.

Two models of the same encoder and training, on the same clips with labels of
whole clips only: one classifies time steps (hparams/demo.yaml), one whole clips
in windows (that yaml before it did, at commit ad9495e). An event is correct if
onset and offset are within 200 ms (the offset within 20 % of a long sound).

Declared before the evaluation clips were scored. Arms: A, time steps; B,
windows; C, windows of which none is more probable than the whole clip. Each
takes its thresholds, the length of its moving average, and B and C also theirs
of windows (1 s every 0.25 s or 2 s every 0.5 s), by validation clips. Contrasts:
B - A and C - B, of event F1 (mean over classes), by a paired bootstrap over
clips. That was the first table (commit 052e3d0: 43.8, 39.1 and 43.8 %).

Validation clips then showed that many sounds of the demo have pauses, at which
their events fall apart. So a second table was declared, where each arm also takes
``merge_gap`` and ``min_duration`` by validation clips, with the same contrasts;
beside it D, time steps trained with the times of sounds (train_strong.py).
Writes benchmarks/results/demo_events.json and .md.

> python benchmarks/demo_events.py STEPS/inference CLIPS/inference \
>     STRONG/inference PREPARED

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import dataclasses
import itertools
from pathlib import Path

import harness
import numpy as np

from speechbrain_fftp.datasets.demo import EVENTS
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.event_metrics import event_counts, mean_f1
from speechbrain_fftp.inference.event_scores import MEANS, find_events
from speechbrain_fftp.inference.events import step_targets
from speechbrain_fftp.inference.thresholds import learn_thresholds

WINDOWS = ((1.0, 0.25), (2.0, 0.5))
MERGE_GAPS = (0.0, 0.5, 1.0, 1.5, 2.0)  # seconds
MIN_DURATIONS = (0.0, 0.5, 1.0)
DRAWS = 2000  # of the bootstrap


@dataclasses.dataclass
class Choice:
    """What validation clips decide, and their F1."""

    f1: float
    window: float
    hop: float
    mean_seconds: float
    thresholds: np.ndarray
    merge_gap: float
    min_duration: float

    def count(self, timelines, truth):
        """Counts of ``event_counts``, and errors of onsets."""
        smooth = smooth_all(timelines, self.mean_seconds)
        found = {
            clip: Found(
                timeline.duration,
                timeline.events(
                    self.thresholds,
                    merge_gap=self.merge_gap,
                    min_duration=self.min_duration,
                ),
            )
            for clip, timeline in smooth.items()
        }
        labels = next(iter(smooth.values())).labels
        counts, _, errors = event_counts(found, truth, labels)
        return counts, errors


@dataclasses.dataclass
class Found:
    """Events that ``event_counts`` takes in place of a timeline."""

    duration: float
    found: list

    def events(self, threshold):
        """The events, whose thresholds are decided already."""
        return self.found


@dataclasses.dataclass
class Arm:
    """What an arm analyses with, and what validation clips decide for it."""

    tagger: AudioTagger
    windows: tuple  # of window and hop, or (None, None)
    capped: bool = False

    def find(self, prepared, split, window, hop):
        """Timelines and true events of a split, by clip."""
        timelines, truth = find_events(
            self.tagger,
            prepared,
            Path(prepared, EVENTS),
            split=split,
            window=window,
            hop=hop,
        )
        if self.capped:
            for clip, found in timelines.items():
                timelines[clip] = dataclasses.replace(
                    found, probs=np.minimum(found.probs, found.clip_probs)
                )
        return timelines, truth

    def learn(self, prepared):
        """The ``Choice`` of the highest validation F1."""
        best = None
        for window, hop in self.windows:
            timelines, truth = self.find(prepared, "valid", window, hop)
            for seconds in MEANS:
                smooth = smooth_all(timelines, seconds)
                limits = self.thresholds(smooth, truth)
                for gap, shortest in itertools.product(
                    MERGE_GAPS, MIN_DURATIONS
                ):
                    choice = Choice(
                        0.0, window, hop, seconds, limits, gap, shortest
                    )
                    counts, _ = choice.count(timelines, truth)
                    choice.f1 = mean_f1(counts.sum(1))
                    if best is None or choice.f1 > best.f1 + 1e-6:
                        best = choice
        return best

    def thresholds(self, timelines, truth):
        """Those of the highest F1 of time steps or windows ``[C]``."""
        labels = self.tagger.labels
        targets = [
            step_targets(
                found.times,
                [(a, b, labels.index(label)) for a, b, label in truth[clip]],
                len(labels),
            )
            for clip, found in timelines.items()
        ]
        rows = learn_thresholds(
            labels,
            np.concatenate(targets),
            np.concatenate([found.probs for found in timelines.values()]),
        )
        return np.array([threshold for _, threshold, *_ in rows])


def smooth_all(timelines, seconds):
    """The timelines with a moving average."""
    return {clip: found.smooth(seconds) for clip, found in timelines.items()}


def interval(counts, draws):
    """The 95 % interval of a difference of two arms' F1.

    ``counts`` are those of ``event_counts`` for both arms.
    """
    f1 = [mean_f1(arm[:, draws].sum(2)) for arm in counts]
    return np.quantile(f1[0] - f1[1], (0.025, 0.975))


def main():
    """Scores all arms and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", help="inference folder of the time steps")
    parser.add_argument("clips", help="that of the model of whole clips")
    parser.add_argument("strong", help="that of time steps learnt with times")
    parser.add_argument("prepared", help="prepared folder of the demo set")
    args = parser.parse_args()
    steps = AudioTagger.from_pretrained(args.steps)
    clips = AudioTagger.from_pretrained(args.clips)
    arms = {
        "A, time steps": Arm(steps, ((None, None),)),
        "B, windows": Arm(clips, WINDOWS),
        "C, windows, capped by the clip": Arm(clips, WINDOWS, capped=True),
        "D, time steps, trained with times": Arm(
            AudioTagger.from_pretrained(args.strong), ((None, None),)
        ),
    }
    rows, counts, scores = [], {}, {}
    for name, arm in arms.items():
        best = arm.learn(args.prepared)
        timelines, truth = arm.find(
            args.prepared, "eval", best.window, best.hop
        )
        counts[name], errors = best.count(timelines, truth)
        total = counts[name].sum(1)
        scores[name] = mean_f1(total)
        correct, true, found = total.sum(1)
        row = {
            "arm": name,
            "window, s": best.window or "-",
            "hop, s": best.hop or "-",
            "moving average, s": best.mean_seconds,
            "merge_gap, s": best.merge_gap,
            "min_duration, s": best.min_duration,
            "valid event F1": f"{100 * best.f1:.1f}",
            "event F1": f"{100 * scores[name]:.1f}",
            "correct": int(correct),
            "missed": int(true - correct),
            "false": int(found - correct),
            "median onset error, s": f"{np.median(errors):.2f}",
        }
        harness.add_row(rows, row)
    rng = np.random.default_rng(0)
    n_clips = counts["B, windows"].shape[1]
    draws = rng.integers(n_clips, size=(DRAWS, n_clips))
    contrasts = []
    names = list(arms)
    for first, second in ((names[1], names[0]), (names[2], names[1])):
        pair = counts[first], counts[second]
        low, high = interval(pair, draws)
        difference = scores[first] - scores[second]
        row = {
            "contrast": f"{first[0]} - {second[0]}",
            "points": f"{100 * difference:+.1f}",
            "95 % interval": f"[{100 * low:+.1f}, {100 * high:+.1f}]",
        }
        harness.add_row(contrasts, row)
    note = (
        f"{n_clips} evaluation clips; choices by validation clips. Event F1 in "
        "per cent, mean over classes. Synthetic data."
    )
    sections = {
        "Events of the demo set": (note, rows),
        "Contrasts": (
            f"Paired bootstrap over clips, {DRAWS} draws.",
            contrasts,
        ),
    }
    about = harness.environment("cpu")
    harness.write_results("demo_events", about, sections)


if __name__ == "__main__":
    main()
