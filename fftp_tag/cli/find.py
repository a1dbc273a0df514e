"""``fftp-tag find``: Finds what sounds like an example in an archive.

Prints the most similar matches first, without those that overlap a more similar
one. With several examples, the similarity to their mean counts. The model of
the index is used: give --model if it has been moved.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import functools
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from fftp_tag.cli import formats, options, output
from fftp_tag.errors import InputError
from fftp_tag.model.sources import STARTER

if TYPE_CHECKING:
    from fftp_tag.search.index import Match

HELP = "finds what sounds like an example in an archive"
EXAMPLES = """\
  fftp-tag find bark.wav --index archive.index --top-k 20
  fftp-tag find long.wav --start 35 --end 38 --index archive.index
  fftp-tag find barks/ --index archive.index --format csv > matches.csv
  fftp-tag find bark.wav --index archive.index --cut matches/bark
Listen to what --cut writes before you learn from it: matches may be wrong."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="EXAMPLE",
        help="audio files, or folders of audio files",
    )
    parser.add_argument(
        "--index",
        required=True,
        metavar="FILE",
        help="index that fftp-tag index has written",
    )
    parser.add_argument(
        "--start",
        type=options.number(float, 0),
        default=0.0,
        metavar="SECONDS",
        help="start of the sound in a single EXAMPLE (default: 0)",
    )
    parser.add_argument(
        "--end",
        type=options.number(float, 0),
        default=math.inf,
        metavar="SECONDS",
        help="end of the sound (default: the end of the file)",
    )
    parser.add_argument(
        "--top-k",
        type=options.number(int, 1),
        default=20,
        metavar="N",
        help="maximum number of matches (default: 20)",
    )
    parser.add_argument(
        "--format",
        choices=list(FORMATS),
        default="table",
        help="output format (default: table)",
    )
    parser.add_argument(
        "--cut",
        metavar="FOLDER",
        help="write each match as a mono WAV file into this folder, to be "
        "listened to, at the sampling rate of the recording; files are never "
        "overwritten",
    )
    options.add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the matches, and writes them with --cut; returns the exit code."""
    import numpy as np

    from fftp_tag.audio.pieces import FilePiece
    from fftp_tag.parallel import in_order
    from fftp_tag.search.index import SoundIndex

    files, n_without = options.find_files(args.files)
    is_part = args.start > 0 or args.end < math.inf
    if is_part and len(files) != 1:
        raise InputError("--start and --end need a single EXAMPLE")
    if args.start >= args.end:
        raise InputError("--start must be before --end")
    index = SoundIndex.load(args.index)
    if args.model == STARTER != index.settings.model:
        raise InputError(
            f"{args.index} was made with another model than {STARTER}: "
            f"{index.settings.model}. If you trust it, give it as --model"
        )
    encoder = index.load_encoder(options.load_tagger(args))
    embed = functools.partial(index.embed, encoder)
    parts = [FilePiece(file, args.start, args.end) for file in files]
    examples = []
    for _, example, error in in_order(embed, parts):
        if example is None:
            output.report(str(error))
        else:
            examples.append(example)
    matches: list[Match] = []
    if examples:
        matches = index.find(np.stack(examples), args.top_k)
    FORMATS[args.format]([output.rounded(x.to_dict()) for x in matches])
    code = int(len(examples) < len(files) + n_without)
    if args.cut is not None:
        code |= cut_matches(matches, args.cut)
    return code


def print_table(rows: list[dict[str, Any]]) -> None:
    """For people: score, start, end and file."""
    for row in rows:
        numbers = f"{row['score']:6.3f} {row['start']:9.2f} {row['end']:9.2f}"
        print(f"{numbers}  {output.printable(row['file'])}")


def print_json(rows: list[dict[str, Any]]) -> None:
    """A list."""
    formats.rows_as_json(rows, sys.stdout)


def print_csv(rows: list[dict[str, Any]]) -> None:
    """A header, unless there are no matches, and a row for each match."""
    if rows:
        values = (row.values() for row in rows)
        formats.rows_as_csv(rows[0], values, sys.stdout)


FORMATS = {"table": print_table, "json": print_json, "csv": print_csv}


def cut_matches(matches: list["Match"], folder: str) -> int:
    """Writes matches as WAV files, named by rank, file and time.

    Returns the exit code: 1 if one of them cannot be written.
    """
    from fftp_tag.audio.pieces import FilePiece
    from fftp_tag.files import shortened
    from fftp_tag.parallel import in_order
    from fftp_tag.search.clips import cut_clip

    os.makedirs(folder, exist_ok=True)

    def cut(ranked: "tuple[int, Match]") -> None:
        """Writes a match."""
        rank, match = ranked
        stem = os.path.splitext(os.path.basename(match.file))[0]
        times = f"{match.start:.2f}-{match.end:.2f}"
        clip = os.path.join(folder, f"{rank:03d}_{shortened(stem)}_{times}.wav")
        part = FilePiece(match.file, match.start, match.end)
        cut_clip(part, match.identity, clip)

    code = 0
    for _, _, reason in in_order(cut, enumerate(matches, 1)):
        if reason is not None:
            output.report(reason)
            code = 1
    return code
