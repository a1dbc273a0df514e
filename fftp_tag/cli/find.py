"""``fftp-tag find``: prints the places in an archive that sound most like an
example, from 1 (the same) downwards.

With several examples, a place is as similar as it is to the closest of them.
Places that overlap a more similar one are dropped. The model is that of the
index: give --model if it is no longer where it was.

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
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from fftp_tag.index import Place

HELP = "finds the places of an index that sound like an example"
EXAMPLES = """\
  fftp-tag find bark.wav --index archive.index --top-k 20
  fftp-tag find long.wav --start 35 --end 38 --index archive.index
  fftp-tag find barks/ --index archive.index --format csv > places.csv
  fftp-tag find bark.wav --index archive.index --cut my_sounds/bark"""
MAX_NAME = 50  # characters of a path that the name of a clip keeps


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
        help="the index, see fftp-tag index",
    )
    parser.add_argument(
        "--start",
        type=options.number(float, 0),
        default=0.0,
        metavar="SECONDS",
        help="where the sound begins in the only example (default: 0)",
    )
    parser.add_argument(
        "--end",
        type=options.number(float, 0),
        default=math.inf,
        metavar="SECONDS",
        help="where it ends (default: with the file)",
    )
    parser.add_argument(
        "--top-k",
        type=options.number(int, 1),
        default=20,
        metavar="N",
        help="number of places (default: 20)",
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
        "rate of the recording; no file is overwritten",
    )
    options.add_model(parser, required=False)


def run(args: argparse.Namespace) -> int:
    """Prints the places, and writes them with --cut; returns the exit code."""
    import numpy as np

    from fftp_tag.index import SoundIndex

    files, errors = options.find_files(args.files)
    is_part = args.start > 0 or args.end < math.inf
    if is_part and len(files) > 1:
        raise InputError("--start and --end take one example at a time")
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
            errors.append((file, output.one_line(error)))
    for _, reason in errors:
        output.report(reason)
    if not examples:
        return 1
    places = index.find(np.stack(examples), args.top_k)
    print_places(places, args.format)
    n_failed = 0
    if args.cut is not None:
        n_failed = cut_places(places, index.settings.archive, args.cut)
    return 1 if errors or n_failed else 0


def read_part(
    args: argparse.Namespace, file: str, sample_rate: int
) -> "np.ndarray":
    """The samples between --start and --end."""
    from speechbrain_fftp.dataio.audio import read_audio

    try:
        seconds = args.end - args.start
        return read_audio(file, sample_rate, args.start, seconds)
    except InputError as error:
        raise InputError(f"{file}, from {args.start:g} s: {error}") from error


def print_places(places: List["Place"], output_format: str) -> None:
    """Prints places in one of the formats."""
    rows = [output.rounded(place) for place in places]
    if output_format == "json":
        print(json.dumps(rows, indent=2))
    elif output_format == "jsonl":
        for row in rows:
            print(json.dumps(row))
    elif output_format == "csv":
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerow(["file", "start", "end", "similarity"])
        table.writerows(row.values() for row in rows)
    else:
        for place in places:
            print(
                f"{place.similarity:6.3f} {place.start:9.2f} {place.end:9.2f}  "
                f"{place.file}"
            )


def cut_places(places: List["Place"], archive: str, folder: str) -> int:
    """Writes places as WAV files; returns how many cannot be written."""
    os.makedirs(folder, exist_ok=True)
    n_failed = 0
    for rank, place in enumerate(places, start=1):
        name = os.path.splitext(os.path.relpath(place.file, archive))[0]
        name = re.sub(r"[^\w.-]+", "_", name)[-MAX_NAME:]
        name = f"{rank:03d}_{name}_{place.start:.2f}-{place.end:.2f}.wav"
        try:
            cut_audio(place, os.path.join(folder, name))
        except (InputError, OSError) as error:
            n_failed += 1
            output.report(f"not cut: {output.one_line(error)}")
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
