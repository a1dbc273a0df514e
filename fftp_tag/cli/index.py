"""``fftp-tag index``: Makes an index of a folder of recordings.

fftp-tag find searches it for what sounds like an example. If the folder
has changed, or the command was interrupted, run it again: only new and changed
files are read.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import os

from fftp_tag.cli import options, output
from fftp_tag.errors import DAMAGED, InputError, counted
from fftp_tag.model.sources import STARTER

HELP = "makes an index of a folder of recordings"
EXAMPLES = """\
  fftp-tag index archive --output archive.index
  fftp-tag find bark.wav --index archive.index
  fftp-tag index archive --model my_sounds.onnx --for-tagging --output my.index
  fftp-tag my.index --model better.onnx --timeline"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "archive", metavar="ARCHIVE", help="folder of audio files"
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="FILE",
        help="file to write, or an index to update",
    )
    options.add_windows(
        parser, "5, or the model's maximum clip length", "the window length"
    )
    parser.add_argument(
        "--for-tagging",
        action="store_true",
        help="store all features that a model of fftp-tag learn classifies: it, "
        "and others that are learnt on the same encoder from sounds of about this "
        "length, then tag the index without reading audio",
    )
    options.add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Updates the index; returns the exit code."""
    from fftp_tag.search.index import update_index

    if not os.path.isdir(args.archive):
        raise InputError(
            f"{args.archive}: there is no such folder; "
            "an archive is a folder of audio files."
        )
    if args.for_tagging and options.given(args, "window", "hop"):
        raise InputError(
            "--for-tagging has the spans of the model: leave --window and --hop "
            "out"
        )
    if args.model != STARTER and os.path.exists(args.model):
        args.model = os.path.abspath(args.model)
    update = update_index(
        args.output,
        options.load_tagger(args),
        args.archive,
        window=args.window,
        hop=args.hop,
        model=args.model,
        for_tagging=args.for_tagging,
        progress=True,
    )
    for error in update.errors:
        output.report(f"not read: {error}")
    print(
        f"{args.output}: {counted(update.added, 'file')} added, "
        f"{update.unchanged} unchanged, {update.dropped} dropped, "
        f"{len(update.errors)} not read, {update.damaged} damaged; "
        f"{counted(update.n_spans, 'span')}"
    )
    if update.errors:
        return 1
    return DAMAGED if update.damaged else 0
