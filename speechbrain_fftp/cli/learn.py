"""``fftp-tag learn``: learns classes from a few clips of each.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import sys

from speechbrain_fftp.cli import options

DESCRIPTION = """\
Learns to recognise your own sounds with a trained model, in seconds. CLIPS is a
folder with one folder of clips for each class, or with a table clips.csv, as
for training; a folder named background holds clips without any of the sounds.
The model itself stays as it is: only the last layer is learned.

Writes an inference folder for all other commands, and report.json: scores of
cross-validation, the clips that are confused, and false alarms per hour."""
EXAMPLES = """\
  fftp-tag learn my_sounds --model mispeech/ced-tiny --output my_tagger
  fftp-tag learn my_sounds --model mispeech/ced-tiny --output my_tagger \\
      --background street.wav --max_false_alarms 1
  fftp-tag clip.wav --model my_tagger --timeline --threshold auto"""


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument("data_folder", metavar="CLIPS", help="the clips")
    parser.add_argument(
        "--output",
        required=True,
        metavar="FOLDER",
        help="folder for the model; one of fftp-tag learn is written again, "
        "and only clips that are new pass through the model",
    )
    parser.add_argument(
        "--background",
        metavar="PATH",
        help="a recording without any of the sounds, or a folder of such: the "
        "first half of each is learned from, and false alarms are counted in "
        "the second half",
    )
    parser.add_argument(
        "--max_false_alarms",
        type=options.number_type(float, low=0),
        metavar="N",
        help="raise thresholds until there are at most N false alarms of a "
        "class in an hour of background",
    )
    parser.add_argument(
        "--keep_classes",
        action="store_true",
        help="add the classes to those of the model, which stay as they are",
    )
    parser.add_argument(
        "--single_label",
        action="store_true",
        help="each clip has exactly one class: probabilities sum up to 1",
    )
    options.add_device(parser)


def run(args, parser):
    """Learns the classes and prints the report."""
    if not os.path.isdir(args.data_folder):
        parser.error(f"there is no folder {args.data_folder}")
    if args.max_false_alarms is not None and args.background is None:
        parser.error("--max_false_alarms needs --background")
    if args.background is not None and not os.path.exists(args.background):
        parser.error(f"there is no background {args.background}")
    if args.single_label and args.background is not None:
        parser.error("--single_label excludes --background")
    tagger = options.load_tagger(args)
    report = tagger.learn(
        args.data_folder,
        args.output,
        background=args.background,
        max_false_alarms=args.max_false_alarms,
        keep_classes=args.keep_classes,
        single_label=args.single_label,
        progress=sys.stderr.isatty(),
    )
    print_report(report, args.output)


def print_report(report, folder):
    """Prints what was learned, and how well."""
    alarms = report.get("false_alarms_per_hour")
    header = "clips  threshold"
    if alarms is not None:
        header += "  false alarms per hour"
    print(f"{header}  class")
    for label, count in report["clips"].items():
        line = f"{count:5d}  {report['thresholds'][label]:9.3f}"
        if alarms is not None:
            line += f"  {alarms[label]:21.1f}"
        print(f"{line}  {label}")
    for key, clips in (
        ("scores", f"cross-validation in {report.get('folds')} folds"),
        ("scores_of_eval", "clips of the eval split, not learned from"),
    ):
        if key in report:
            print(f"{clips} (95 % intervals):")
            for name, score in report[key].items():
                print(
                    f"  {name:8}  {score['value']:.3f} "
                    f"[{score['low']:.3f}, {score['high']:.3f}]"
                )
    for pair in report.get("confusions", []):
        print(
            f"{pair['count']} of {pair['class']} taken for "
            f"{pair['taken_for']}, such as {', '.join(pair['clips'])}"
        )
    for path, reason in report["not_read"].items():
        print(f"not read: {path}: {reason}")
    print(f"wrote {folder}")
