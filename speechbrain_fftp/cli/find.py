"""``fftp-tag find``: finds the places of an index that sound like an example.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import math
import os
import re
import sys

from speechbrain_fftp.cli import options, output

NEEDS_MODEL = False  # that of the index is the default
FORMATS = ("table", "json", "jsonl", "csv")
DESCRIPTION = """\
Prints the places in an archive that sound most like an example, from 1 (the
same) downwards. With several examples, a place is as similar as it is to the
closest of them. Places that overlap a more similar one are dropped."""
EXAMPLES = """\
  fftp-tag find bark.wav --index archive.index --top-k 20
  fftp-tag find long.wav --start 35 --end 38 --index archive.index
  fftp-tag find barks/ --index archive.index --format csv > places.csv
  fftp-tag find bark.wav --index archive.index --cut my_sounds/bark"""
MAX_NAME = 50  # characters of a path that the name of a clip keeps


def add_options(parser):
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
        type=options.number_type(float, low=0),
        default=0.0,
        metavar="SECONDS",
        help="where the sound begins in the only example (default: 0)",
    )
    parser.add_argument(
        "--end",
        type=options.number_type(float, low=0),
        default=math.inf,
        metavar="SECONDS",
        help="where it ends (default: with the file)",
    )
    parser.add_argument(
        "--top-k",
        type=options.number_type(int, low=1),
        default=20,
        metavar="N",
        help="number of places (default: 20)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="output format (default: table)",
    )
    parser.add_argument(
        "--cut",
        metavar="FOLDER",
        help="write each place as a WAV file into this folder, as it was "
        "recorded; no file is overwritten",
    )
    parser.add_argument(
        "--model",
        dest="other_model",
        metavar="MODEL",
        help="the model of the index, if it is not where it was",
    )
    options.add_model_options(parser)
    options.add_device(parser)


def run(args, parser):
    """Prints the places, and writes them with --cut; returns the exit code."""
    from speechbrain_fftp.inference.index import SoundIndex

    files, errors = output.find_files(args.files)
    is_part = args.start > 0 or args.end < math.inf
    if is_part and len(files) > 1:
        parser.error("--start and --end take one example at a time")
    if args.start >= args.end:
        parser.error("--start must be before --end")
    index = SoundIndex(args.index)
    args.model = args.other_model
    if args.model is None:
        args.model = index.settings.model
    if args.model is None:
        parser.error(f"{args.index} does not name its model: give --model")
    tagger = options.load_tagger(args)
    index.check_model(tagger)
    examples = []
    for file in files:
        try:
            source = file
            if is_part:
                source = read_part(args, file, tagger.sample_rate)
            examples.append(index.embed(tagger, source))
        except output.EXPECTED_ERRORS as error:
            errors.append((file, error))
    for _, error in errors:
        output.report(error, args.verbose)
    if not examples:
        return 1
    places = index.find(examples, args.top_k)
    print_places(places, args.format)
    n_failed = 0
    if args.cut is not None:
        n_failed = cut_places(places, index.settings.archive, args.cut)
    return 1 if errors or n_failed else 0


def read_part(args, file, sample_rate):
    """What is between --start and --end, as a list of samples."""
    from speechbrain_fftp.dataio.audio import read_audio
    from speechbrain_fftp.inference.windows import mono_waveform

    try:
        samples, rate = read_audio(
            file,
            max_seconds=args.end - args.start,
            start_seconds=args.start,
        )
        return [mono_waveform(samples, rate, sample_rate)]
    except ValueError as error:
        raise ValueError(f"{file}, from {args.start:g} s: {error}") from error


def print_places(places, output_format):
    """Prints places in one of the ``FORMATS``."""
    rows = [place.to_dict() for place in places]
    if output_format == "json":
        print(json.dumps(rows, indent=2, allow_nan=False))
    elif output_format == "jsonl":
        for row in rows:
            print(json.dumps(row, allow_nan=False))
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


def cut_places(places, archive, folder):
    """Writes places as WAV files; returns how many cannot be written."""
    from speechbrain_fftp.dataio.audio import cut_audio

    os.makedirs(folder, exist_ok=True)
    n_failed = 0
    for rank, place in enumerate(places, start=1):
        name = os.path.splitext(os.path.relpath(place.file, archive))[0]
        name = re.sub(r"[^\w.-]+", "_", name)[-MAX_NAME:]
        name = f"{rank:03d}_{name}_{place.start:.2f}-{place.end:.2f}.wav"
        path = os.path.join(folder, name)
        try:
            cut_audio(place.file, path, place.start, place.end)
        except (OSError, ValueError) as error:
            n_failed += 1
            text = output.one_line(error)
            output.report(f"not cut: {place.file} to {path}: {text}")
    return n_failed
