"""``fftp-tag find``: Finds the places in an archive that sound like an example.

Prints the most similar places first, with similarities up to 1. With several
examples, the similarity to the closest one counts. Places that an example was
cut from are left out, and so are places that overlap a more similar place. The
model of the index is used: give --model if it has been moved.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import contextlib
import csv
import json
import math
import os
import re
import sys
from typing import TYPE_CHECKING, List, Union

from fftp_tag.cli import options, output
from fftp_tag.errors import one_line
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from fftp_tag.search.index import Place, SoundIndex

HELP = "finds the places in an archive that sound like an example"
EXAMPLES = """\
  fftp-tag find bark.wav --index archive.index --top-k 20
  fftp-tag find long.wav --start 35 --end 38 --index archive.index
  fftp-tag find barks/ --index archive.index --format csv > places.csv
  fftp-tag find bark.wav --index archive.index --cut my_sounds/bark"""
MAX_NAME = 50  # characters of a path in the name of a clip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="EXAMPLE",
        help="audio files, or folders of audio files",
    )
    parser.add_argument(
        "--index",
        required=True,
        metavar="FOLDER",
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

    from fftp_tag.search.index import SoundIndex

    files, errors = options.find_files(args.files), []
    is_part = args.start > 0 or args.end < math.inf
    if is_part and len(files) > 1:
        raise InputError("--start and --end need a single EXAMPLE")
    if args.start >= args.end:
        raise InputError("--start must be before --end")
    index = SoundIndex(args.index)
    args.model = args.model or index.settings.model
    if args.model is None:
        raise InputError(f"{args.index} does not name its model: give --model")
    tagger = options.load_tagger(args)
    index.check_model(tagger)
    examples = []
    for file in files:
        source: Union[str, np.ndarray] = file
        try:
            if is_part:
                source = read_part(args, file, tagger.sample_rate)
            examples.append(index.embed(tagger, source, tagger.sample_rate))
        except (InputError, OSError) as error:
            errors.append((file, one_line(error)))
    for _, reason in errors:
        output.report(reason)
    if not examples:
        return 1
    places = index.find(np.stack(examples), args.top_k)
    print_places(places, args.format)
    n_failed = 0
    if args.cut is not None:
        n_failed = cut_places(places, index, args.cut)
    return 1 if errors or n_failed else 0


def read_part(
    args: argparse.Namespace, file: str, sample_rate: int
) -> "np.ndarray":
    """The samples between --start and --end."""
    from fftp_tag.tag import windows

    try:
        seconds = args.end - args.start
        return windows.read_part(file, sample_rate, args.start, seconds)
    except InputError as error:
        raise InputError(f"{file}, from {args.start:g} s: {error}") from error


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


def cut_places(places: List["Place"], index: "SoundIndex", folder: str) -> int:
    """Writes places as WAV files; returns how many cannot be written."""
    os.makedirs(folder, exist_ok=True)
    gone = {place.file for place in places if not os.path.exists(place.file)}
    for file in sorted(gone):
        output.report(
            f"not cut: {file} was moved or deleted after it was indexed. To "
            f"bring the index up to date: {index.update_command}"
        )
    n_failed = 0
    for rank, place in enumerate(places, start=1):
        if place.file in gone:
            n_failed += 1
            continue
        name = os.path.relpath(place.file, index.settings.archive)
        name = os.path.splitext(name)[0]
        name = re.sub(r"[^\w.-]+", "_", name)[-MAX_NAME:]
        name = f"{rank:03d}_{name}_{place.start:.2f}-{place.end:.2f}.wav"
        try:
            cut_audio(place, os.path.join(folder, name))
        except (InputError, OSError) as error:
            n_failed += 1
            output.report(f"not cut: {one_line(error)}")
    return n_failed


def cut_audio(place: "Place", path: str) -> None:
    """Writes a place as a floating-point WAV file."""
    import numpy as np
    import soundfile as sf

    from speechbrain_fftp.dataio import audio

    samples = []
    try:
        with audio.open_audio(place.file, place.start) as file:
            rate = file.rate
            size = round(place.end * rate) - round(place.start * rate)
            with contextlib.suppress(audio.TruncatedAudio):
                for block in audio.first_samples(file.blocks, size):
                    samples.append(block)
    except InputError as error:
        raise InputError(f"{place.file} is not readable: {error}") from error
    if not samples:
        raise InputError(f"{place.file} ends before {place.start:g} s")
    with open(path, "xb") as cut:
        sf.write(cut, np.concatenate(samples), rate, "FLOAT", format="WAV")
