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
The finished events equal those of --timeline. Both lines are printed with a
delay, of at most the model's maximum clip length plus one hop after the first
window above the threshold, or below it. Ctrl+C ends the recording."""
EXAMPLES = """\
  fftp-tag listen --model results/demo/inference --window 1 --hop 0.25
  ffmpeg -i URL -f s16le -ac 1 -ar 16000 - | \\
      fftp-tag listen --raw 16000 --model results/demo/inference"""
BLOCKS = 10  # per second
MOST_WAITING = 5 * BLOCKS  # while the model is busy


def add_options(parser):
    """Adds the options of this verb."""
    text = "read signed 16-bit little-endian mono samples at this rate in Hz "
    text += "from standard input"
    kind = options.in_range(int, 1000, 768000)
    parser.add_argument("--raw", type=kind, metavar="RATE", help=text)
    text = "number of the microphone, see `python -m sounddevice` (default: "
    text += "the system's)"
    kind = options.in_range(int, 0)
    parser.add_argument("--microphone", type=kind, metavar="N", help=text)
    text = "the probability that an event must reach"
    options.add_threshold(parser, text, default=0.5)
    text = "window length (default: 10, or the model's maximum if that is "
    text += "less; a forward-only AuM needs no windows)"
    options.add_windows(parser, text, "; 0.5 without windows")
    text, formats = "output format (default: table)", ("table", "jsonl")
    parser.add_argument("--format", choices=formats, default="table", help=text)


def run(args, parser):
    """Prints events until the audio ends; returns the exit code."""
    if args.raw and args.microphone is not None:
        parser.error("--raw and --microphone cannot be combined")
    if args.raw and (sys.stdin is None or sys.stdin.isatty()):
        parser.error("--raw reads standard input: pipe samples to it")
    tagger = options.load_tagger(args)
    if not options.windows_fit(args, tagger):
        return 2

    from speechbrain_fftp.dataio.audio import resampled_blocks
    from speechbrain_fftp.inference.live import stream_events

    stopped, settings = threading.Event(), (args.window, args.hop)
    if args.raw:
        source = contextlib.nullcontext((args.raw, _raw_blocks(args.raw)))
    else:
        source = _microphone(args.microphone)
    with source as (rate, blocks):
        blocks = _until_interrupted(blocks, stopped)
        blocks = resampled_blocks(blocks, rate, tagger.hparams.sample_rate)
        for event in stream_events(tagger, blocks, *settings, args.threshold):
            row = event.to_dict()
            end = "..." if event.end is None else f"{event.end:.2f}"
            text = f"{event.start:9.2f} {end:>9}  {event.probability:.3f}"
            text += f"  {event.label}"
            with output.standard_output():
                print(json.dumps(row) if args.format == "jsonl" else text)
    return 130 if stopped.is_set() else 0


def _raw_blocks(rate):
    """Yields the samples on standard input."""
    import numpy as np

    from speechbrain_fftp.dataio.audio import MIN_SECONDS

    found = 0
    while content := sys.stdin.buffer.read(rate // BLOCKS * 2):
        if len(content) % 2:
            output.report("warning: half a sample at the end is dropped")
            content = content[:-1]
        found += len(content) // 2
        yield np.frombuffer(content, "<i2") / np.float32(2**15)
    if found < MIN_SECONDS * rate:
        problem = f"is shorter than 25 ms: {found} samples"
        raise ValueError(f"standard input {problem}")


@contextlib.contextmanager
def _microphone(number):
    """The rate and the blocks of an open microphone."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # no package, or no PortAudio
        raise ImportError(
            f"{error}: install sounddevice and PortAudio (libportaudio2 on "
            "Debian) to use a microphone, or pipe samples to --raw"
        )
    waiting, dropped = queue.Queue(MOST_WAITING), 0

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
                reported += lost
                problem = "the model is too slow, raise --hop"
                output.report(f"dropped {lost / rate:.1f} s: {problem}")

    try:
        found = sounddevice.query_devices(number, "input")
        rate = int(found["default_samplerate"])
        sizes = {"samplerate": rate, "blocksize": rate // BLOCKS, "channels": 1}
        stream = sounddevice.InputStream(
            device=number, dtype="float32", callback=keep, **sizes
        )
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise OSError(
            f"no microphone: {error}; `python -m sounddevice` lists the devices"
        )
    with contextlib.closing(stream):
        yield rate, blocks()
        if not stream.active:
            raise RuntimeError("the microphone has stopped")


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
    except KeyboardInterrupt:  # of stop
        pass
    finally:
        signal.signal(signal.SIGINT, before)
