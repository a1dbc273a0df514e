"""``fftp-tag listen``: Prints the events in a stream as they begin and end.

Raw audio, of a microphone or a stream on the web, comes from another program
through standard input. A line without an end is printed when an event begins,
and a line with its end when it is over. A frame-level model runs every --hop,
and hears a sound within --hop and its look-ahead, 0.5 s of the starter, or a second
without one (and half of the span that its predictions are made from: 0.06 s). A
model of clips tags windows, and hears it with the next window. Ctrl+C ends the
stream.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import json
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from fftp_tag.cli import options, output
from fftp_tag.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from fftp_tag.tag.events import Event

HELP = "prints the events in a stream as they begin and end"
EXAMPLES = """\
  arecord -q -t raw -f S16_LE -r 16000 | fftp-tag listen --raw 16000
  ffmpeg -i URL -f s16le -ac 1 -ar 16000 - | \\
      fftp-tag listen --raw 16000 --model results/demo"""
BLOCKS = 10  # per second
# What audio files begin with: WAV, FLAC, Ogg, AIFF, MP3, CAF, AU, Matroska
HEADERS = (
    *(b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"ID3", b"caff", b".snd"),
    *(b"\x1aE\xdf\xa3", b"\xff\xfb", b"\xff\xf3"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "--raw",
        required=True,
        type=options.number(int, 1000, 768000),
        metavar="RATE",
        help="rate in Hz of the signed 16-bit little-endian mono samples on "
        "standard input",
    )
    options.add_rules(parser)
    options.add_classes(parser)
    options.add_windows(
        parser,
        "2, or the length of a model of one length; not for frame-level models",
        "a quarter of a window; 1 for frame-level models",
    )
    options.add_model(parser, threads=1)  # more would mostly wait
    parser.add_argument(
        "--format",
        choices=("table", "jsonl"),
        default="table",
        help="output format (default: table)",
    )


def run(args: argparse.Namespace) -> int:
    """Prints events until the audio ends; returns the exit code."""
    from fftp_tag.audio.decode import resampled_blocks

    source = options.standard_input()
    tagger = options.load_selected(args)
    options.report_cost(args, tagger)
    interrupted = threading.Event()
    blocks = until_interrupted(raw_blocks(source, args.raw), interrupted)
    rules = options.given(args, "threshold", "merge_gap", "min_duration")
    stream = tagger.stream(
        rules=tagger.model.rules.replace(**rules),
        window=args.window,
        hop=args.hop,
    )
    for block in resampled_blocks(blocks, args.raw, tagger.sample_rate):
        print_events(stream.push(block), args.format)
    print_events(stream.finish(), args.format)
    return 130 if interrupted.is_set() else 0


def print_events(events: list["Event"], output_format: str) -> None:
    """Prints events: for people, or as JSON objects in a line each."""
    for event in events:
        if output_format == "jsonl":
            line = json.dumps(output.rounded(event.to_dict()))
        else:
            end = "..." if event.end is None else f"{event.end:.2f}"
            times = f"{event.start:9.2f} {end:>9}"
            line = f"{times}  {event.probability:.3f}  {event.label}"
        print(line, flush=True)


def until_interrupted(
    blocks: Iterable["np.ndarray"], interrupted: threading.Event
) -> Iterator["np.ndarray"]:
    """Yields blocks until Ctrl+C sets ``interrupted``; a second one raises."""

    def stop(*_: Any) -> None:
        """Handles the first Ctrl+C."""
        signal.signal(signal.SIGINT, before)
        interrupted.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        for block in blocks:
            yield block
            if interrupted.is_set():
                break
    finally:
        signal.signal(signal.SIGINT, before)


def raw_blocks(stream: BinaryIO, rate: int) -> Iterator["np.ndarray"]:
    """Yields the samples in a stream.

    Raises
    ------
    InputError
        If it is an audio file, whose bytes are no samples.
    """
    import numpy as np

    is_first = True
    while content := stream.read(2 * (rate // BLOCKS)):
        if is_first and (
            content.startswith(HEADERS) or content[4:8] == b"ftyp"
        ):
            raise InputError(
                "standard input is an audio file, not raw samples: pipe it "
                f"through ffmpeg -i - -f s16le -ac 1 -ar {rate} -"
            )
        is_first = False
        whole = len(content) // 2 * 2  # half a sample may be at the end
        yield np.frombuffer(content[:whole], "<i2") / np.float32(2**15)
