"""``fftp-tag find``: Finds the places in an archive that sound like an example.

Prints the most similar places first, with similarities up to 1. With several
examples, the similarity to the closest one counts. Places that an example was
cut from are left out, and so are places that overlap a more similar place. The
model of the index is used: give --model if it has been moved.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import json
import math
import os
import sys
from typing import TYPE_CHECKING, List

from fftp_tag.cli import options, output
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    from fftp_tag.search.index import Place

HELP = "finds the places in an archive that sound like an example"
EXAMPLES = """\
  fftp-tag find bark.wav --index archive.index --top-k 20
  fftp-tag find long.wav --start 35 --end 38 --index archive.index
  fftp-tag find barks/ --index archive.index --format csv > places.csv
  fftp-tag find bark.wav --index archive.index --cut my_sounds/bark"""


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
        help="maximum number of places (default: 20)",
    )
    parser.add_argument(
        "--format",
        choices=("table", "json", "jsonl", "csv"),
        default="table",
        help="output format (default: table)",
    )
    parser.add_argument(
        "--cut",
        metavar="FOLDER",
        help="write each place as a mono WAV file into this folder, at the "
        "sampling rate of the recording; files are never overwritten",
    )
    options.add_model(parser, required=False)


def run(args: argparse.Namespace) -> int:
    """Prints the places, and writes them with --cut; returns the exit code."""
    import numpy as np

    from fftp_tag.parallel import in_order
    from fftp_tag.search.index import SoundIndex
    from fftp_tag.tag.windows import read_part

    files = options.find_files(args.files)
    is_part = args.start > 0 or args.end < math.inf
    if is_part and len(files) > 1:
        raise InputError("--start and --end need a single EXAMPLE")
    if args.start >= args.end:
        raise InputError("--start must be before --end")
    index = SoundIndex.load(args.index)
    args.model = args.model or index.settings.model
    tagger = options.load_tagger(args)
    index.check_model(tagger)

    def embed(file: str) -> "np.ndarray":
        """The embedding of an example."""
        if not is_part:
            return index.embed(tagger, file)
        rate, seconds = tagger.sample_rate, args.end - args.start
        part = read_part(file, rate, args.start, seconds)
        return index.embed(tagger, part, rate)

    examples = []
    for file, example, error in in_order(embed, files):
        if example is not None:
            examples.append(example)
        else:
            output.report(f"{file}: {error}" if is_part else str(error))
    if not examples:
        return 1
    places = index.find(np.stack(examples), args.top_k)
    print_places(places, args.format)
    if args.cut is not None:
        cut_places(places, args.cut)
    return 1 if len(examples) < len(files) else 0


def print_places(places: List["Place"], output_format: str) -> None:
    """Prints places in one of the formats."""
    rows = [output.rounded(place.to_dict()) for place in places]
    if output_format == "json":
        print(json.dumps(rows, indent=2))
    elif output_format == "jsonl":
        for row in rows:
            print(json.dumps(row))
    elif output_format == "csv":
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerow(["file", "start", "end", "similarity"])
        for row in rows:
            row["file"] = output.cell(row["file"])
            table.writerow(row.values())
    else:
        for place in places:
            print(
                f"{place.similarity:6.3f} {place.start:9.2f} {place.end:9.2f}  "
                f"{place.file}"
            )


def cut_places(places: List["Place"], folder: str) -> None:
    """Writes places as WAV files, named by rank, file and time."""
    import soundfile as sf

    from fftp_tag.tag.windows import read_part
    from speechbrain_fftp.dataio.audio import open_audio

    os.makedirs(folder, exist_ok=True)
    for rank, place in enumerate(places, start=1):
        with open_audio(place.file) as file:
            rate = file.rate
        seconds = place.end - place.start
        samples = read_part(place.file, rate, place.start, seconds)
        stem = os.path.splitext(os.path.basename(place.file))[0]
        name = f"{rank:03d}_{stem}_{place.start:.2f}-{place.end:.2f}.wav"
        with open(os.path.join(folder, name), "xb") as cut:
            sf.write(cut, samples, rate, "FLOAT", format="WAV")
