"""``fftp-tag learn``: Learns your own sounds from a few clips of each.

CLIPS is a folder with one folder of clips for each class, or with a table
clips.csv, as for training; a folder named background holds clips without any of
the sounds. Clips in a folder inside are of one recording or source, and are
never learnt from and tested at once. CLIPS may also hold recordings with label
tracks beside them, of Audacity, Raven or this program, in which all events are
labelled. The encoder of the model is frozen: a linear classifier is learnt on
it, in seconds. The first half of each --background recording is used to learn,
the second half to count false alarms.

Writes a model.onnx for all other commands, and a cache of features beside it,
MY.onnx.npz: when you learn again, only the features of new clips are computed.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import os
from typing import TYPE_CHECKING

import fftp_tag
from fftp_tag.cli import options, output
from fftp_tag.errors import counted
from fftp_tag.model.sources import STARTER

if TYPE_CHECKING:
    from fftp_tag.learning.learn import Report
    from fftp_tag.learning.validate import Score, Validation

HELP = "learns your own sounds from a few clips of each"
EXAMPLES = """\
  fftp-tag learn my_sounds
  fftp-tag learn my_sounds --background street.wav --output my.onnx
  fftp-tag learn my_sounds --clips doubt.csv
  fftp-tag learn my_sounds --model starter --model mn04_as.onnx
  fftp-tag clip.wav --model my.onnx --timeline
  fftp-tag learn recordings --strong-labels corrected_tracks
  fftp-tag learn my_sounds --reviewed reviewed --output better.onnx"""

MAX_NAMES = 3  # clips that are named per confusion
ENOUGH_BACKGROUND = 60.0  # seconds
FILLED = 0.5  # of the clips: less is told
# What the scores count
COUNTED = {
    "macro_F1": "of tags, which reach their thresholds",
    "no_tag": "clips of which no class reaches its threshold",
    "accuracy": "of the most probable class, a tag or not",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "data_folder", metavar="CLIPS", help="folder of clips to learn from"
    )
    options.add_model(parser, several=True)
    parser.add_argument(
        "--output",
        metavar="MY.onnx",
        help="file to write (default: the name of CLIPS, with .onnx)",
    )
    options.add_background(parser)
    parser.add_argument(
        "--strong-labels",
        metavar="TABLE",
        help="table of events of the recordings in CLIPS, or folder of label "
        "tracks (default: the label tracks beside recordings)",
    )
    parser.add_argument(
        "--partly-labelled",
        action="store_true",
        help="recordings also have sounds that are not labelled (default: what "
        "is not labelled is background)",
    )
    parser.add_argument(
        "--numbered",
        action="store_true",
        help="clips whose names differ in a last number, such as dog_1.wav and "
        "dog_2.wav, are of one recording",
    )
    parser.add_argument(
        "--false-alarms",
        type=options.number(float, 0),
        metavar="N",
        help="false alarms an hour of each class that are accepted, by the third "
        "quarter of --background; the last quarter then tells how many there are",
    )
    parser.add_argument(
        "--operate",
        choices=("cautious", "balanced", "eager"),
        help="tag about a half, three quarters or nine tenths of the clips whose "
        "most probable class is right; the report tells what each tags of your "
        "clips and of other sounds (default: tag what is more probable than not)",
    )
    parser.add_argument(
        "--clips",
        metavar="TABLE.csv",
        help="table to write: what each clip is taken for by what is learnt from "
        "others, those in doubt, which may have wrong labels, first",
    )
    parser.add_argument(
        "--reviewed",
        metavar="FOLDER",
        help="learn from the answers of fftp-tag review as well",
    )


def run(args: argparse.Namespace) -> None:
    """Learns the classes and prints the report."""
    from fftp_tag.files import check_target
    from fftp_tag.tag.tagger import AudioTagger

    if args.clips is not None:
        check_target(args.clips)
    names = args.model or [STARTER]
    tagger, *others = [
        AudioTagger.from_pretrained(name, args.threads) for name in names
    ]
    path = args.output
    if path is None:
        path = f"{os.path.basename(os.path.abspath(args.data_folder))}.onnx"
    report = fftp_tag.learn(
        tagger,
        args.data_folder,
        path,
        background=args.background,
        strong_labels=args.strong_labels,
        partly_labelled=args.partly_labelled,
        numbered=args.numbered,
        false_alarms_per_hour=args.false_alarms,
        reviewed=args.reviewed,
        operate=args.operate,
        other_encoders=others,
        progress=True,
    )
    print_encoders(names, report)
    print_report(report)
    if args.clips is not None:
        write_clips(args.clips, report)
        print(f"wrote {args.clips}")
    print(f"wrote {path}")


def print_encoders(names: list[str], report: "Report") -> None:
    """Prints how good each of several encoders is, and which is taken."""
    if not report.encoders:
        return
    print("models, by their most probable class on equal folds:")
    for name, found in zip(names, report.encoders, strict=True):
        line = f"  {found.share_right:.3f} right  {name}"
        if found.gain is not None:
            value, low, high = found.gain
            line += f", {value:+.3f} [{low:+.3f}, {high:+.3f}] to the first"
        print(line)
    taken = next(
        name
        for name, found in zip(names, report.encoders, strict=True)
        if found.is_taken
    )
    none = "none is shown to be better than the first: "
    is_first = report.encoders[0].is_taken
    print(f"  {none if is_first else ''}{taken} is taken")


def print_report(report: "Report") -> None:
    """Prints what was learnt, and how well."""
    validation = report.validation
    print("clips  tags from  events from  class")
    for label, count, tag, event in zip(
        report.labels,
        report.counts,
        validation.thresholds,
        report.event_thresholds,
        strict=True,
    ):
        print(f"{count:5d}  {tag:9.3f}  {event:11.3f}  {label}")
    print(f"{report.background_seconds:7.1f} s of background")
    if report.background_seconds < ENOUGH_BACKGROUND:
        print(
            "That is little: record where you will use the model, for some "
            "minutes, and give it with --background."
        )
    if report.filled < FILLED:
        print(
            f"the sounds fill {100 * report.filled:.0f} % of the clips; the rest "
            "is not learnt from"
        )
    if report.are_whole:
        print(
            "clips are learnt as a whole: the encoder hardly helps with the sounds "
            "in them, and more held-out clips are right; events are as long as clips"
        )
    print(
        f"frame-level predictions from {report.span_seconds:.2f} s each, every "
        f"{report.hop_seconds:.2f} s"
    )
    if report.limit is not None:
        print(
            "false alarms that the third quarter of the background lets expect: "
            f"{report.limit.fewest:.2f} to {report.limit.most:.2f} an hour of a "
            "class (95 %); if that is too wide, give more"
        )
    if report.false_alarms is not None:
        output.print_false_alarms(report.false_alarms)
    if validation.scores:
        others = "of other recordings" if report.has_groups else "like these"
        print(
            f"cross-validation in {validation.n_folds} folds, on new clips "
            f"{others}:"
        )
        print_intervals(validation.scores)
        if not report.has_groups:
            print(
                "  of the same recordings, if several clips are of one: put "
                "these into a folder inside their class's"
            )
        print_unknown(validation)
    if validation.points:
        print("held-out sounds that are tagged, by --operate:")
        print("  yours  other sounds")
        for name, point in validation.points.items():
            print(f"  {point.own:.3f}  {point.others:12.3f}  {name}")
    if validation.unmeasured:
        classes = output.printable(", ".join(validation.unmeasured))
        print(f"not measured, for lack of clips of other recordings: {classes}")
    if report.eval_scores:
        print("clips of the eval split, not learnt from:")
        print_intervals(report.eval_scores)
    for pair in validation.confusions:
        names_of_clips = output.printable("; ".join(pair.clips[:MAX_NAMES]))
        print(
            f"{counted(len(pair.clips), 'clip')} of {pair.label} taken for "
            f"{pair.taken_for}, such as {names_of_clips}"
        )
    for name, reason in report.not_read.items():
        print(output.printable(f"not read: {name}: {reason}"))


def print_unknown(validation: "Validation") -> None:
    """Prints how many sounds that are not learnt are tagged, by kind."""
    rows = {
        "other sounds": validation.others,
        "sounds like yours, each class left out in turn": validation.near,
    }
    print("unknown sounds that are tagged, means of kinds not learnt from:")
    for name, found in rows.items():
        if found is None:
            continue
        line = f"  {found.share:.3f}"
        if found.low is not None:
            line += f" [{found.low:.3f}, {found.high:.3f}]"
        line += f" of {name}"
        if found.worst_share > 0:
            line += f"; most of {found.worst}, {found.worst_share:.3f}"
        print(output.printable(line))
    if validation.not_told:
        classes = output.printable(", ".join(validation.not_told))
        print(
            f"hardly told from unknown sounds like them: {classes}. Record "
            "sounds that are taken for these, and put them into the folder "
            "background"
        )


def write_clips(path: str, report: "Report") -> None:
    """Writes the table of ``--clips``."""
    from fftp_tag.files import write_csv

    rows = []
    for clip in report.validation.clips:
        own = [
            x
            for x, is_own in zip(report.labels, clip.target, strict=True)
            if is_own
        ]
        best = report.labels[clip.probs.argmax()]
        doubt = "" if clip.doubt is None else f"{clip.doubt:.3f}"
        probs = [f"{prob:.3f}" for prob in clip.probs]
        rows.append((clip.name, ";".join(own), doubt, best, *probs))
    header = ("clip", "labels", "doubt", "most probable", *report.labels)
    write_csv(path, header, rows)


def print_intervals(scores: dict[str, "Score"]) -> None:
    """Prints scores with their intervals."""
    for name, score in scores.items():
        line = f"  {name:8}  {score.value:.3f}"
        if score.low is not None:
            line += f" [{score.low:.3f}, {score.high:.3f}]"
        line += f", without the encoder {score.without_encoder:.3f}"
        print(f"{line}  ({COUNTED[name]})")
    if any(score.low is not None for score in scores.values()):
        print("  [95 % interval for as many new clips like these]")
    else:
        print("  without intervals, which need at least five groups of clips")
