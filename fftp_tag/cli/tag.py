"""``fftp-tag FILE...``: prints the most probable tags of audio files, or a
timeline of events.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import sys
from typing import TYPE_CHECKING, Iterator, Optional, Tuple, Union

from fftp_tag.cli import options, output
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    from fftp_tag.tagger import AudioTagger

HELP = "prints the tags or the events of audio files"
EXAMPLES = """\
  fftp-tag clip.wav folder --model results/demo --top-k 3
  fftp-tag clip.wav --model results/demo --timeline
  fftp-tag folder --model results/demo --format csv > tags.csv
  fftp-tag --model results/demo -- -name-with-a-dash.wav
To tag a file that has the name of a command, write ./page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="audio files, folders of audio files, or - for standard input",
    )
    options.add_model(parser)
    parser.add_argument(
        "--top-k",
        type=options.number(int, 1),
        metavar="N",
        help="number of tags per file (default: 5)",
    )
    parser.add_argument(
        "--timeline",
        action="store_true",
        help="print events with start and end in seconds instead of tags",
    )
    options.add_rules(parser)
    options.add_windows(
        parser, "2; a model of time steps has none", "a quarter"
    )
    parser.add_argument(
        "--format",
        choices=output.FORMATS,
        default="table",
        help="output format (default: table); audacity is a label track of "
        "events and implies --timeline",
    )
    parser.add_argument(
        "--plot",
        metavar="PNG",
        help="draw the spectrogram and the timeline of the file; the "
        "extension, such as .png or .svg, sets the format",
    )


def run(args: argparse.Namespace) -> int:
    """Prints the tags or events of files; returns the exit code."""
    from tqdm import tqdm

    args.timeline = args.timeline or args.format == "audacity"
    check_arguments(args)
    files, errors = options.find_files(args.files)
    if len(files) > 1 and (args.plot or args.format == "audacity"):
        raise InputError("--plot and --format audacity take one file at a time")
    if args.plot:
        from fftp_tag.plots import check_target

        check_target(args.plot)
    tagger = options.load_tagger(args)
    thresholds = None
    if tagger.model.rules.is_learnt and args.threshold is None:
        values = tagger.model.rules.threshold.tolist()
        thresholds = dict(zip(tagger.labels, values))
    printed = output.Output(args.format, args.timeline, thresholds)
    for folder, error in errors:
        output.report(error)
        printed.add(folder, [], error)
    n_failed = 0
    is_terminal = sys.stderr.isatty()
    for file, found, reason in tqdm(
        results(args, tagger, files, is_terminal and len(files) == 1),
        total=len(files),
        unit="file",
        leave=False,
        disable=len(files) == 1 or not is_terminal,
    ):
        if reason is not None:
            n_failed += 1
            output.report(reason)
        with tqdm.external_write_mode():
            printed.add(file, found, reason)
    printed.close()
    if n_failed and len(files) > 1:
        output.report(f"{n_failed} of {len(files)} files failed")
    return 1 if n_failed or errors else 0


def check_arguments(args: argparse.Namespace) -> None:
    """Raises an InputError for options that would do nothing."""
    of_events = options.given(
        args, "window", "hop", "merge_gap", "min_duration"
    )
    if of_events and not (args.timeline or args.plot):
        name = next(iter(of_events)).replace("_", "-")
        raise InputError(f"--{name} needs --timeline or --plot")
    if args.timeline and args.top_k:
        raise InputError("--top-k is for tags, not for events: use --threshold")


def results(
    args: argparse.Namespace,
    tagger: "AudioTagger",
    files: list,
    progress: bool,
) -> Iterator[Tuple[str, list, Optional[str]]]:
    """Yields files, each with its tags or events, or the reason of none."""
    tag_options = options.given(args, "top_k", "threshold")
    if not (args.timeline or args.plot or "-" in files or len(files) == 1):
        for result in tagger.tag_files(files, **tag_options):
            yield result.file, result.tags or [], result.error
        return
    for file in files:
        try:
            source = standard_input() if file == "-" else file
            if args.timeline or args.plot:
                found = analyze(args, tagger, source, progress)
            else:
                found = tagger.tag_file(
                    source, progress=progress, **tag_options
                )
        except (InputError, OSError) as error:
            yield file, [], output.one_line(error)
        else:
            yield file, found, None


def standard_input() -> bytes:
    """The content of standard input, in which samples need not be in order."""
    if sys.stdin is None:
        raise InputError("standard input is closed")
    return sys.stdin.buffer.read()


def analyze(
    args: argparse.Namespace,
    tagger: "AudioTagger",
    source: Union[str, bytes],
    progress: bool,
) -> list:
    """The tags or events of a file, drawn if --plot is given."""
    found = tagger.analyze(
        source, window=args.window, hop=args.hop, progress=progress
    )
    events = found.events(args.threshold, args.merge_gap, args.min_duration)
    if args.plot:
        from fftp_tag.plots import plot_tags

        plot_tags(args.plot, tagger, source, found, events)
    if args.timeline:
        return events
    return found.tags(**options.given(args, "top_k", "threshold"))
