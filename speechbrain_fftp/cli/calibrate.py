"""``fftp-tag calibrate``: learns the thresholds of a model.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
from pathlib import Path

from speechbrain_fftp.cli import evaluate, options, output

DESCRIPTION = """\
Learns the threshold of maximum F1 for each class on the clips of a folder (as
for fftp-tag evaluate) and writes them to thresholds.csv in the model's folder,
for --threshold auto. Classes with few positive clips have a threshold of 0.5.
With --strong_labels, a model that classifies time steps learns its thresholds
and the length of a moving average on events; config.json stores the length.

With --background, false alarms are counted in recordings without any of the
sounds, and --max_false_alarms raises thresholds, those just learned or the
model's own (0.5 if it has none)."""
EXAMPLES = """\
  fftp-tag calibrate --model results/demo/inference \\
      --data_folder results/demo/prepared
  fftp-tag calibrate --model results/demo/inference \\
      --background room.wav --max_false_alarms 1"""


def add_options(parser):
    """Adds the options of this verb."""
    evaluate.add_clips(parser, split="valid", required=False)
    parser.add_argument(
        "--background",
        metavar="PATH",
        help="a recording without any of the sounds, or a folder of such",
    )
    parser.add_argument(
        "--max_false_alarms",
        type=options.number_type(float, low=0),
        metavar="N",
        help="raise thresholds until there are at most N false alarms of a "
        "class in an hour of background",
    )


def run(args, parser):
    """Scores the model, learns thresholds and writes them."""
    folder = Path(args.model)
    if not (folder / "config.json").is_file():
        folder = folder / "inference"
    for name in ("config.json", "labels.csv"):
        if not (folder / name).is_file():
            parser.error(
                f"{args.model} is not an inference folder with {name}: use "
                "`fftp-tag import SOURCE FOLDER` for a published model first"
            )
    check_sources(args, parser)
    output.check_target(folder / "thresholds.csv")
    tagger = options.load_tagger(args)
    options.check_fit(args, tagger)
    if args.strong_labels:
        learn_on_events(folder, tagger, args)
    elif args.data_folder:
        found = evaluate.evaluate_clips(args, tagger)
        evaluate.print_scores(found)
        learn_on_clips(folder, tagger, found)
    if args.background:
        listen_to_background(folder, tagger, args)


def check_sources(args, parser):
    """Ends the process if options about clips and background are wrong."""
    if not args.data_folder and not args.background:
        parser.error("give --data_folder, --background, or both")
    if args.data_folder:
        evaluate.check_data_folder(args, parser)
    elif args.strong_labels:
        parser.error("--strong_labels needs --data_folder")
    if args.strong_labels and (args.window or args.hop):
        parser.error("--strong_labels excludes --window and --hop")
    if args.background and not Path(args.background).exists():
        parser.error(f"there is no background {args.background}")
    if args.max_false_alarms is not None and not args.background:
        parser.error("--max_false_alarms needs --background")
    if args.data_folder and args.split == "eval":
        output.report("warning: after this, F1 on the eval split is too high")


def learn_on_events(folder, tagger, args):
    """Writes thresholds and a moving average of events; prints its length."""
    from speechbrain_fftp.inference.event_scores import calibrate_events

    seconds = calibrate_events(
        folder,
        tagger,
        args.data_folder,
        args.strong_labels,
        progress=sys.stderr.isatty(),
        **options.given(args, *evaluate.CLIPS),
    )
    print(f"{folder}: moving average of {seconds:g} s")


def learn_on_clips(folder, tagger, found):
    """Writes thresholds and prints F1 with 0.5 and with the new ones."""
    import numpy as np

    from speechbrain_fftp.inference import thresholds
    from speechbrain_fftp.inference.scores import f1_scores

    # Of classes that the data lack, no clip is positive
    columns = [tagger.labels.index(label) for label in found.labels]
    targets = np.zeros((len(found.ids), len(tagger.labels)), np.float32)
    probs = np.zeros_like(targets)
    targets[:, columns] = found.targets
    probs[:, columns] = found.probs
    rows = thresholds.learn_thresholds(tagger.labels, targets, probs)
    thresholds.write_thresholds(folder, rows)
    n_few = sum(
        positives < thresholds.MIN_POSITIVES for *_, positives, _ in rows
    )
    print(
        f"{folder}: {n_few} of {len(rows)} classes have fewer than "
        f"{thresholds.MIN_POSITIVES} positive clips and the threshold 0.5"
    )
    for limits in (0.5, [limit for _, limit, *_ in rows]):
        f1 = f1_scores(targets, probs, limits)
        print(
            f"micro F1 {f1['micro_F1']:.4f}, macro F1 "
            f"{f1['macro_F1']:.4f}, threshold {f1['threshold']}"
        )


def listen_to_background(folder, tagger, args):
    """Counts false alarms, and raises and writes thresholds if asked to."""
    from tqdm import tqdm

    from speechbrain_fftp.inference import thresholds
    from speechbrain_fftp.inference.false_alarms import (
        limit_false_alarms,
        list_recordings,
    )

    places = list_recordings(args.background)
    is_quiet = not sys.stderr.isatty()
    timelines = [
        tagger.analyze(path, args.window, args.hop)
        for path in tqdm(places, unit="file", disable=is_quiet)
    ]
    rows = thresholds.read_rows(folder, tagger.labels)
    if rows is None:
        rows = [(label, thresholds.DEFAULT, 0, 0.0) for label in tagger.labels]
    rows, alarms = limit_false_alarms(
        timelines, rows, tagger.labels, args.max_false_alarms
    )
    if args.max_false_alarms is not None:
        thresholds.write_thresholds(folder, rows)
    hours = sum(timeline.duration for timeline in timelines) / 3600
    print(f"false alarms per hour, in {hours:.2f} hours of background:")
    for label, threshold, *_ in rows:
        if alarms[label] > 0:
            print(f"{alarms[label]:8.1f}  {label} (threshold {threshold:.3f})")
    print(f"{sum(alarms.values()):8.1f}  all classes")
