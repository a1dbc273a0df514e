"""``fftp-tag listen``: Prints the events in a stream as they begin and end.

The stream comes from a microphone, or as raw audio from standard input. A line
without an end is printed when an event begins, and a line with its end when it
is over. A frame-level model runs every --hop, and finds a sound within --hop
plus half a second. A model of clips tags windows, and finds a sound with the
next window. Ctrl+C ends the recording.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import contextlib
import json
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Optional

from fftp_tag.cli import options, output
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.packages import require

if TYPE_CHECKING:
    import numpy as np

    from fftp_tag.tag.events import Event

HELP = "prints the events in a stream as they begin and end"
EXAMPLES = """\
  fftp-tag listen
  ffmpeg -i URL -f s16le -ac 1 -ar 16000 - | \\
      fftp-tag listen --raw 16000 --model results/demo"""
BLOCKS = 10  # per second
MAX_WAITING = 5 * BLOCKS  # while the model is busy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    audio = parser.add_mutually_exclusive_group()
    audio.add_argument(
        "--raw",
        type=options.number(int, 1000, 768000),
        metavar="RATE",
        help="read signed 16-bit little-endian mono samples at this rate in Hz "
        "from standard input",
    )
    audio.add_argument(
        "--microphone",
        type=options.number(int, 0),
        metavar="N",
        help="number of the microphone, see `python -m sounddevice` (default: "
        "the system's default)",
    )
    options.add_rules(parser)
    options.add_windows(
        parser,
        "2; not for frame-level models",
        "a quarter of a window; 0.25 for frame-level models",
    )
    options.add_model(parser)
    parser.add_argument(
        "--format",
        choices=("table", "jsonl"),
        default="table",
        help="output format (default: table)",
    )


def run(args: argparse.Namespace) -> int:
    """Prints events until the audio ends; returns the exit code."""
    from fftp_tag.tag.live import stream_events
    from speechbrain_fftp.dataio.audio import resampled_blocks

    if args.raw and (sys.stdin is None or sys.stdin.isatty()):
        raise InputError("--raw reads standard input: pipe samples to it")
    if not args.raw:
        require("sounddevice", "A microphone")  # before the model is loaded
    tagger = options.load_tagger(args)
    with contextlib.ExitStack() as stack:
        if args.raw:
            rate, blocks = args.raw, raw_blocks(args.raw)
        else:
            microphone = stack.enter_context(open_microphone(args.microphone))
            rate, blocks = microphone.rate, microphone.blocks()
        interrupted = threading.Event()
        blocks = until_interrupted(blocks, interrupted)
        for event in stream_events(
            tagger,
            resampled_blocks(blocks, rate, tagger.sample_rate),
            window=args.window,
            hop=args.hop,
            threshold=args.threshold,
            merge_gap=args.merge_gap,
            min_duration=args.min_duration,
        ):
            print_event(event, args.format)
            sys.stdout.flush()
    return 130 if interrupted.is_set() else 0


def print_event(event: "Event", output_format: str) -> None:
    """Prints an event: for people, or as a JSON object in a line."""
    if output_format == "jsonl":
        print(json.dumps(output.rounded(event.to_dict())))
        return
    end = "..." if event.end is None else f"{event.end:.2f}"
    times = f"{event.start:9.2f} {end:>9}"
    print(f"{times}  {event.probability:.3f}  {event.label}")


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


def raw_blocks(rate: int) -> Iterator["np.ndarray"]:
    """Yields the samples on standard input."""
    import numpy as np

    while content := sys.stdin.buffer.read(2 * (rate // BLOCKS)):
        whole = len(content) // 2 * 2  # half a sample may be at the end
        yield np.frombuffer(content[:whole], "<i2") / np.float32(2**15)


class Microphone:
    """Samples that a thread of PortAudio records.

    While the model is busy, up to 5 s are kept; further samples are dropped.
    """

    def __init__(self, rate: int):
        self.rate = rate  # in Hz
        self.waiting: queue.Queue = queue.Queue(MAX_WAITING)
        self.n_dropped = 0
        self.stream: Any = None  # a sounddevice.InputStream

    def keep(self, block: "np.ndarray", frames: int, *_: Any) -> None:
        """Receives samples ``[S, 1]``, which are overwritten later."""
        try:
            self.waiting.put_nowait(block[:, 0].copy())
        except queue.Full:
            self.n_dropped += frames

    def blocks(self) -> Iterator["np.ndarray"]:
        """Yields blocks of samples until the microphone stops."""
        n_reported = 0
        while self.stream.active or not self.waiting.empty():
            with contextlib.suppress(queue.Empty):
                yield self.waiting.get(timeout=1)
            n_new = self.n_dropped - n_reported
            if n_new:
                n_reported += n_new
                output.report(
                    f"dropped {n_new / self.rate:.1f} s: the model is too "
                    "slow, raise --hop"
                )


@contextlib.contextmanager
def open_microphone(number: Optional[int]) -> Iterator[Microphone]:
    """A ``Microphone`` that records until the block ends."""
    sounddevice = require("sounddevice", "A microphone")
    try:
        device = sounddevice.query_devices(number, "input")
        microphone = Microphone(int(device["default_samplerate"]))
        microphone.stream = sounddevice.InputStream(
            device=number,
            dtype="float32",
            samplerate=microphone.rate,
            blocksize=microphone.rate // BLOCKS,
            channels=1,
            callback=microphone.keep,
        )
        microphone.stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise OSError(
            f"no microphone: {error}; `python -m sounddevice` lists the devices"
        ) from error
    with contextlib.closing(microphone.stream):
        yield microphone
        if not microphone.stream.active:
            raise OSError("the microphone has stopped")
