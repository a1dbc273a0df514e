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

from speechbrain_fftp.cli import messages, options

DESCRIPTION = """\
Prints the events that a microphone hears, or those in raw audio from standard
input, as they begin and end. Ctrl+C ends the audio: what is left is printed."""
EXAMPLES = """\
  fftp-tag listen --model results/demo/inference --window 1 --hop 0.25
  ffmpeg -i URL -f s16le -ac 1 -ar 16000 - | \\
      fftp-tag listen --raw 16000 --model results/demo/inference
An event is printed when it is certain that it has begun, and again with its end.
Both are at most as late as window, hop and the model's maximum clip length
together; this is the price for the same events as those of --timeline."""
BLOCKS_PER_SECOND = 10
QUEUE_SECONDS = 5  # of audio that waits for the model


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument(
        "--raw",
        type=options.in_range(int, 1000, 768000),
        metavar="RATE",
        help="read signed 16-bit little-endian mono samples at this rate in Hz "
        "from standard input",
    )
    parser.add_argument(
        "--microphone",
        metavar="NAME",
        help="name or number of the input device, see `python -m sounddevice` "
        "(default: the system's)",
    )
    parser.add_argument(
        "--threshold",
        type=options.in_range(float, 0, 1),
        default=0.5,
        metavar="P",
        help="the probability that an event must reach (default: 0.5)",
    )
    options.add_windows(
        parser,
        "window length (default: 10, or the model's maximum if that is less; a "
        "forward-only AuM needs none)",
        "time between the starts of windows (default: half a window, or 0.5)",
    )
    parser.add_argument(
        "--format",
        choices=("table", "jsonl"),
        default="table",
        help="output format (default: table)",
    )


def run(args, parser):
    """Prints events until the audio ends; returns the exit code."""
    if args.raw and args.microphone:
        parser.error("--raw and --microphone exclude each other")
    if args.raw and (sys.stdin is None or sys.stdin.isatty()):
        parser.error("--raw reads standard input: pipe samples to it")
    tagger = options.load_tagger(args)
    if not options.windows_fit(args, tagger):
        return 2

    from speechbrain_fftp.dataio.audio import resampled_blocks
    from speechbrain_fftp.inference.live import stream_events

    stopped = threading.Event()
    with messages.standard_output(), _open_source(args) as (rate, blocks):
        blocks = _until_interrupted(blocks, stopped)
        blocks = resampled_blocks(blocks, rate, tagger.hparams.sample_rate)
        settings = args.window, args.hop, args.threshold
        for event in stream_events(tagger, blocks, *settings):
            row = event.to_dict()
            end = "..." if event.end is None else f"{event.end:.2f}"
            text = f"{event.start:9.2f} {end:>9}  {event.probability:.3f}"
            text += f"  {event.label}"
            print(json.dumps(row) if args.format == "jsonl" else text)
            sys.stdout.flush()
    return 130 if stopped.is_set() else 0


def _open_source(args):
    """A context of the sampling rate and the blocks of the audio."""
    if args.raw:
        return contextlib.nullcontext((args.raw, _raw_blocks(args.raw)))
    return _microphone(args.microphone)


def _raw_blocks(rate):
    """Yields the samples of standard input."""
    import numpy as np

    from speechbrain_fftp.dataio.audio import MIN_SECONDS

    found = 0
    while content := sys.stdin.buffer.read(2 * (rate // BLOCKS_PER_SECOND)):
        if len(content) % 2:
            messages.report("warning: half a sample at the end is dropped")
            content = content[:-1]
        found += len(content) // 2
        yield np.frombuffer(content, "<i2") / np.float32(2**15)
    if found < MIN_SECONDS * rate:
        raise ValueError(
            f"standard input is shorter than 25 ms: {found} samples"
        )


@contextlib.contextmanager
def _microphone(name):
    """Opens an input device."""
    try:
        import sounddevice
    except ImportError:
        raise ImportError(
            "a microphone needs sounddevice: pip install sounddevice, or pipe "
            "samples to --raw"
        )
    except OSError as error:
        raise OSError(
            f"{error}: install PortAudio (libportaudio2 on Debian), or pipe "
            "samples to --raw"
        )
    waiting = queue.Queue(QUEUE_SECONDS * BLOCKS_PER_SECOND)
    dropped = 0

    def keep(block, frames, *_):
        nonlocal dropped
        try:
            waiting.put_nowait(block[:, 0].copy())
        except queue.Full:
            dropped += frames

    def blocks():
        reported = 0
        while stream.active or not waiting.empty():
            with contextlib.suppress(queue.Empty):
                yield waiting.get(timeout=1)
            if lost := dropped - reported:
                messages.report(
                    f"dropped {lost / rate:.1f} s: the model is too slow, "
                    "raise --hop"
                )
                reported += lost
        raise OSError("the microphone has stopped")

    device = int(name) if name and name.isdecimal() else name
    try:
        found = sounddevice.query_devices(device, "input")
        rate = int(found["default_samplerate"])
        stream = sounddevice.InputStream(
            samplerate=rate,
            blocksize=rate // BLOCKS_PER_SECOND,
            device=device,
            channels=1,
            dtype="float32",
            callback=keep,
        )
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise OSError(
            f"no microphone can be opened: {error}; `python -m sounddevice` "
            "lists the devices for --microphone"
        )
    with contextlib.closing(stream):
        yield rate, blocks()


def _until_interrupted(blocks, stopped):
    """Yields blocks until Ctrl+C. Another one interrupts the process."""
    waiting = False

    def stop(*_):
        signal.signal(signal.SIGINT, before)
        stopped.set()
        if waiting:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        while not stopped.is_set():
            waiting = True
            block = next(blocks, None)
            waiting = False
            if block is None:
                break
            yield block
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, before)
