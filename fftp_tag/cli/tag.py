"""``fftp-tag tag``: Prints the tags of audio files or, with --timeline, events.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Union

from fftp_tag.cli import options, output
from fftp_tag.errors import one_line
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    from fftp_tag.tag.tagger import AudioTagger

HELP = "prints the tags or the events of audio files"
EXAMPLES = """\
  fftp-tag clip.wav folder --model results/demo --top-k 3
  fftp-tag clip.wav --model results/demo --timeline
  fftp-tag clip.wav --model results/demo --plot clip.png
  fftp-tag folder --model results/demo --plot plots
  fftp-tag folder --model results/demo --format csv > tags.csv
  fftp-tag --model results/demo -- -name-with-a-dash.wav
To tag a file with the name of a command, give its folder: ./page"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "files",
        nargs="+",
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
        parser, "2; not for models of time steps", "a quarter of a window"
    )
    parser.add_argument(
        "--format",
        choices=output.FORMATS,
        default="table",
        help="output format (default: table); audacity is a label track for "
        "Audacity and implies --timeline",
    )
    parser.add_argument(
        "--plot",
        metavar="PATH",
        help="draw the spectrogram and the timeline. If PATH has an extension, "
        "such as .png or .svg, it is the figure of a single file; otherwise it "
        "is a folder for NAME.wav.png of each file, in the same subfolders",
    )


def run(args: argparse.Namespace) -> int:
    """Prints the tags or events of files; returns the exit code."""
    from fftp_tag.parallel import in_order
    from fftp_tag.progress import show_progress

    args.timeline = args.timeline or args.format == "audacity"
    check_arguments(args)
    files = options.find_files(args.files)
    is_one = len(files) == 1
    if args.format == "audacity" and not is_one:
        raise InputError("--format audacity takes one file at a time")
    plots = plot_paths(args.plot, files) if args.plot else {}
    tagger = options.load_tagger(args)
    thresholds = None
    if tagger.model.rules.is_learnt and args.threshold is None:
        rules = tagger.model.rules
        values = rules.high if args.timeline else rules.threshold
        thresholds = dict(zip(tagger.labels, values.tolist()))
    printed = output.Output(args.format, args.timeline, thresholds)
    if args.format == "jsonl" and args.timeline and is_one and not plots:
        if can_stream(args, tagger):
            return stream(args, tagger, files[0], printed)
    results = in_order(
        lambda file: analyze(args, tagger, file, plots.get(file), is_one),
        files,
        num_workers=1 if is_one or plots else 4,
    )
    n_failed = 0
    for file, found, error in show_progress(
        results, len(files), is_shown=not is_one
    ):
        if error is not None:
            n_failed += 1
            output.report(error)
        with output.above_bars():
            printed.add(file, found or [], error)
    printed.close()
    if n_failed and not is_one:
        output.report(f"{n_failed} of {len(files)} files failed")
    return 1 if n_failed else 0


def stream(
    args: argparse.Namespace,
    tagger: "AudioTagger",
    file: str,
    printed: output.Output,
) -> int:
    """Prints the events of a file as they end; returns the exit code."""
    from fftp_tag.tag.live import stream_file

    try:
        for event in stream_file(
            tagger, read_source(file), progress=True, **given_rules(args)
        ):
            with output.above_bars():
                printed.add_event(file, event)
    except (InputError, OSError) as error:
        output.report(one_line(error))
        printed.add(file, [], one_line(error))
        return 1
    return 0


def can_stream(args: argparse.Namespace, tagger: "AudioTagger") -> bool:
    """Whether events are found without the probabilities of the whole file."""
    return tagger.model.has_steps and not options.given(args, "window", "hop")


def given_rules(args: argparse.Namespace) -> Dict[str, Any]:
    """The rules of events that were given."""
    return options.given(args, "threshold", "merge_gap", "min_duration")


def read_source(file: str) -> Union[str, bytes]:
    """The path of a file, or the content of standard input.

    Some formats need random access, which standard input lacks.
    """
    return sys.stdin.buffer.read() if file == "-" else file


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


def plot_paths(target: str, files: List[str]) -> Dict[str, str]:
    """The path of each file's figure: --plot, or a path in this folder."""
    from fftp_tag.tag.plots import check_figure

    if os.path.splitext(target)[1] and not os.path.isdir(target):
        if len(files) > 1:
            raise InputError(
                f"--plot {target} is the figure of one file, but there are "
                f"{len(files)}: give a folder instead"
            )
        check_figure(target)
        return {files[0]: target}
    top = os.path.commonpath(
        [os.path.dirname(os.path.abspath(file)) for file in files]
    )
    paths = [
        os.path.join(target, f"{os.path.relpath(file, top)}.png")
        for file in files
    ]
    for path in paths:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    check_figure(paths[0])
    return dict(zip(files, paths))


def analyze(
    args: argparse.Namespace,
    tagger: "AudioTagger",
    file: str,
    plot: Optional[str],
    progress: bool,
) -> list:
    """The tags or events of a file; draws them into ``plot`` if it is given."""
    from fftp_tag.tag.live import stream_file

    tag_options = options.given(args, "top_k", "threshold")
    source = read_source(file)
    if not args.timeline and plot is None:
        return tagger.tag_file(source, progress=progress, **tag_options)
    if plot is None and can_stream(args, tagger):
        found = stream_file(
            tagger, source, progress=progress, **given_rules(args)
        )
        return sorted(found, key=lambda event: (event.start, event.end))
    timeline = tagger.analyze(
        source, window=args.window, hop=args.hop, progress=progress
    )
    events = timeline.events(**given_rules(args))
    if plot is not None:
        from fftp_tag.tag.plots import plot_tags

        plot_tags(plot, tagger, source, timeline, events)
    return events if args.timeline else timeline.tags(**tag_options)
