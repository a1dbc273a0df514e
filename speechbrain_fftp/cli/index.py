"""``fftp-tag index``: makes an index of a folder of recordings.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import sys

from speechbrain_fftp.cli import options, output

DESCRIPTION = """\
Makes an index of a folder of recordings of any length, in which fftp-tag find
finds what sounds like an example. Once it is interrupted, or the folder has
changed, the same command continues: only new and changed files are read."""
EXAMPLES = """\
  fftp-tag index archive --model mispeech/ced-tiny --output archive.index
  fftp-tag find bark.wav --index archive.index"""


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument(
        "archive", metavar="ARCHIVE", help="folder of audio files"
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="FOLDER",
        help="folder of the index, a new one or one to bring up to date",
    )
    options.add_windows(
        parser,
        "window length (default: 5, or the model's maximum clip length)",
        hop_default="the window length",
    )
    options.add_device(parser)


def run(args, parser):
    """Brings the index up to date; returns the exit code."""
    if not os.path.isdir(args.archive):
        parser.error(f"there is no folder {args.archive}")
    if os.path.exists(args.model):
        args.model = os.path.abspath(args.model)
    tagger = options.load_tagger(args)
    options.check_fit(args, tagger)

    from speechbrain_fftp.inference.index import open_index

    index = open_index(
        args.output,
        tagger,
        window=args.window,
        hop=args.hop,
        model=args.model,
    )
    update = index.add_folder(
        tagger, args.archive, progress=sys.stderr.isatty()
    )
    for path, error in update.errors.items():
        output.report(f"not read: {os.path.join(args.archive, path)}: {error}")
    print(
        f"{args.output}: {update.added} files added, {update.unchanged} "
        f"unchanged, {update.dropped} dropped, {len(update.errors)} not "
        f"read; {index.n_rows} windows"
    )
    return 1 if update.errors else 0
