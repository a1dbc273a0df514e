"""``fftp-tag find``: Finds what sounds like an example in an archive.

Prints the most similar matches first. With several examples, the similarity to
their mean counts. Matches that an example was cut from are left out, as are
those that clips in the folder of --cut are from, and matches that overlap a more
similar match. The model of the index is used: give
--model if it has been moved.

Without an EXAMPLE, prints the most probable matches for each class of --model,
a model that fftp-tag learn has written. Matches that overlap clips that it was
learnt from are left out.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import collections
import functools
import math
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from fftp_tag.cli import formats, options, output
from fftp_tag.errors import InputError, one_line

if TYPE_CHECKING:
    from fftp_tag.audio.windows import Part
    from fftp_tag.search.clips import ClipSource
    from fftp_tag.search.index import Match, SoundIndex
    from fftp_tag.tag.tagger import AudioTagger

HELP = "finds what sounds like an example, or a class, in an archive"
EXAMPLES = """\
  fftp-tag find bark.wav --index archive.index --top-k 20
  fftp-tag find long.wav --start 35 --end 38 --index archive.index
  fftp-tag find barks/ --index archive.index --format csv > matches.csv
  fftp-tag find bark.wav --index archive.index --cut my_sounds/bark
  fftp-tag find --model my.onnx --index archive.index --cut next"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="EXAMPLE",
        help="audio files, or folders of audio files (default: none, for the "
        "classes of --model)",
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
        help="maximum number of matches, of each class (default: 20)",
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
        help="write each match as a mono WAV file into this folder, at the "
        "sampling rate of the recording, those of a class into a folder of its "
        "name; files are never overwritten",
    )
    options.add_model(parser, default=None)


def run(args: argparse.Namespace) -> int:
    """Prints the matches, and writes them with --cut; returns the exit code."""
    from fftp_tag.audio.windows import Part
    from fftp_tag.data.names import audio_below
    from fftp_tag.search.clips import list_sources
    from fftp_tag.search.index import SoundIndex

    files = options.find_files(args.files)
    is_part = args.start > 0 or args.end < math.inf
    if is_part and len(files) != 1:
        raise InputError("--start and --end need a single EXAMPLE")
    if args.start >= args.end:
        raise InputError("--start must be before --end")
    if not files and args.model is None:
        raise InputError(
            "there is nothing to find: give an EXAMPLE, or --model with a "
            "model that fftp-tag learn has written"
        )
    index = SoundIndex.load(args.index)
    args.model = args.model or index.settings.model
    tagger = options.load_tagger(args)
    encoder = index.load_encoder(tagger)
    examples = [Part(file, args.start, args.end) for file in files]
    clips: List[Part] = []
    if args.cut is not None:
        names = audio_below(args.cut)
        clips = [Part(os.path.join(args.cut, name)) for name in names]
    known = list_sources([*examples, *clips])
    code = 0
    if files:
        matches, code = find_examples(args, index, encoder, examples, known)
    else:
        matches = index.find_classes(tagger.model, args.top_k, known)
    rows = [output.rounded(x.to_dict()) for x in matches]
    FORMATS[args.format](rows)
    if args.cut is not None:
        code |= cut_matches(matches, args.cut)
    return code


def find_examples(
    args: argparse.Namespace,
    index: "SoundIndex",
    encoder: "AudioTagger",
    examples: List["Part"],
    known: List["ClipSource"],
) -> Tuple[List["Match"], int]:
    """Finds matches by the examples that can be read; returns the exit code."""
    import numpy as np

    from fftp_tag.parallel import in_order

    embed = functools.partial(index.embed, encoder)
    found = []
    for _, example, error in in_order(embed, examples):
        if example is None:
            output.report(str(error))
        else:
            found.append(example)
    if not found:
        return [], 1
    matches = index.find(np.stack(found), args.top_k, known)
    return matches, int(len(found) < len(examples))


def print_table(rows: List[Dict[str, Any]]) -> None:
    """For people: score, start, end, label if there is one, and file."""
    for row in rows:
        numbers = f"{row['score']:6.3f} {row['start']:9.2f} {row['end']:9.2f}"
        label = f"  {row['label']}" if "label" in row else ""
        print(f"{numbers}{label}  {output.printable(row['file'])}")


def print_json(rows: List[Dict[str, Any]]) -> None:
    """A list."""
    formats.rows_as_json(rows, sys.stdout)


def print_csv(rows: List[Dict[str, Any]]) -> None:
    """A header, unless there are no matches, and a row for each match."""
    if rows:
        values = (row.values() for row in rows)
        formats.rows_as_csv(rows[0], values, sys.stdout)


FORMATS = {"table": print_table, "json": print_json, "csv": print_csv}


def cut_matches(matches: List["Match"], folder: str) -> int:
    """Writes matches as WAV files, named by rank, file and time.

    Returns the exit code: 1 if one of them cannot be written.
    """
    from fftp_tag.audio.windows import Part
    from fftp_tag.files import shortened
    from fftp_tag.search.clips import cut_clip

    ranks: Dict[str, int] = collections.Counter()
    code = 0
    for match in matches:
        label = re.sub(r"[^\w .-]", "_", match.label or "")
        target = os.path.join(folder, shortened(label.strip(".")))
        ranks[target] += 1
        stem = os.path.splitext(os.path.basename(match.file))[0]
        times = f"{match.start:.2f}-{match.end:.2f}"
        name = f"{ranks[target]:03d}_{shortened(stem)}_{times}.wav"
        part = Part(match.file, match.start, match.end)
        try:
            os.makedirs(target, exist_ok=True)
            cut_clip(part, match.identity, os.path.join(target, name))
        except (InputError, OSError) as error:
            output.report(one_line(error))
            code = 1
    return code
