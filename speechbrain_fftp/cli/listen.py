"""``fftp-tag listen``: prints the events in a stream as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import json
import queue
import signal
import sys
import threading

from speechbrain_fftp.cli import options, output

DESCRIPTION = """\
Prints the events in the sound of a microphone, or in raw audio from standard
input: one line when an event begins, without an end, and one when it has ended.
A model that classifies time steps hears the last seconds again every --hop, and
knows of a sound within --hop and half a second. Others tag windows: lines are
printed with the first one that reaches the threshold, and with the first one in
which the event has ended. Ctrl+C ends the recording."""
EXAMPLES = """\
  fftp-tag listen --model results/demo/inference
  ffmpeg -i URL -f s16le -ac 1 -ar 16000 - | \\
      fftp-tag listen --raw 16000 --model results/demo/inference"""
BLOCKS = 10  # per second
MAX_WAITING = 5 * BLOCKS  # while the model is busy


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument(
        "--raw",
        type=options.number_type(int, low=1000, high=768000),
        metavar="RATE",
        help="read signed 16-bit little-endian mono samples at this rate in Hz "
        "from standard input",
    )
    parser.add_argument(
        "--microphone",
        type=options.number_type(int, low=0),
        metavar="N",
        help="number of the microphone, see `python -m sounddevice` (default: "
        "the system's)",
    )
    options.add_threshold(
        parser, "the probability that an event must reach", default=0.5
    )
    options.add_windows(
        parser,
        "window length (default: 2; models of time steps need no windows)",
        hop_default="a quarter of a window; 0.25 for time steps",
    )
    parser.add_argument(
        "--context",
        type=options.number_type(float, low=0.1),
        metavar="SECONDS",
        help="how much a model of time steps hears at a time (default: its "
        "maximum clip length); less is faster",
    )
    options.add_device(parser)
    parser.add_argument(
        "--format",
        choices=("table", "jsonl"),
        default="table",
        help="output format (default: table)",
    )


def run(args, parser):
    """Prints events until the audio ends; returns the exit code."""
    if args.raw and args.microphone is not None:
        parser.error("--raw and --microphone cannot be combined")
    if args.raw and (sys.stdin is None or sys.stdin.isatty()):
        parser.error("--raw reads standard input: pipe samples to it")
    tagger = options.load_tagger(args)
    options.check_fit(args, tagger)
    if args.context and (args.window or not tagger.has_frames):
        parser.error(
            "--context is for models that classify time steps, without --window"
        )

    from speechbrain_fftp.dataio.audio import resampled_blocks
    from speechbrain_fftp.inference.live import stream_events

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
            context=args.context,
        ):
            print_event(event, args.format)
    return 130 if interrupted.is_set() else 0


def print_event(event, output_format):
    """Prints an event; the end of one that has only begun is open."""
    if output_format == "jsonl":
        print(json.dumps(event.to_dict()), flush=True)
    else:
        end = "..." if event.end is None else f"{event.end:.2f}"
        print(
            f"{event.start:9.2f} {end:>9}  {event.probability:.3f}  "
            f"{event.label}",
            flush=True,
        )


def until_interrupted(blocks, interrupted):
    """Yields blocks until Ctrl+C, which sets an event; another one is raised."""

    def stop(*_):
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


def raw_blocks(rate):
    """Yields the samples on standard input."""
    import numpy as np

    from speechbrain_fftp.dataio.audio import MIN_SECONDS

    n_samples = 0
    while content := sys.stdin.buffer.read(rate // BLOCKS * 2):
        if len(content) % 2:
            output.report("warning: half a sample at the end is dropped")
            content = content[:-1]
        n_samples += len(content) // 2
        yield np.frombuffer(content, "<i2") / np.float32(2**15)
    if n_samples < MIN_SECONDS * rate:
        raise ValueError(
            f"standard input is shorter than 25 ms: {n_samples} samples"
        )


class Microphone:
    """Samples that a thread of PortAudio records.

    They wait while the model is busy, for up to 5 s; more are dropped.

    Arguments
    ---------
    rate : int
        Sampling rate in Hz.
    """

    def __init__(self, rate):
        self.rate = rate
        self.waiting = queue.Queue(MAX_WAITING)
        self.n_dropped = 0
        self.stream = None

    def keep(self, block, frames, *_):
        """Receives samples ``[S, 1]``, which are overwritten later."""
        try:
            self.waiting.put_nowait(block[:, 0].copy())
        except queue.Full:
            self.n_dropped += frames

    def blocks(self):
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
                    "slow, raise --hop or lower --context"
                )


@contextlib.contextmanager
def open_microphone(number):
    """A ``Microphone`` that records until the block ends."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # no package, or no PortAudio
        raise ImportError(
            f"{error}: install sounddevice and PortAudio (libportaudio2 on "
            "Debian) to use a microphone, or pipe samples to --raw"
        )
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
        )
    with contextlib.closing(microphone.stream):
        yield microphone
        if not microphone.stream.active:
            raise RuntimeError("the microphone has stopped")
