"""``fftp-tag tag``: Prints the tags of audio files or, with --timeline, events.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import os
import sys
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    Iterator,
    List,
    Optional,
    Union,
)

from fftp_tag.cli import options, output
from fftp_tag.cli.formats import FORMATS, Context, Result
from fftp_tag.errors import counted, one_line
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    from fftp_tag.tag.events import Event
    from fftp_tag.tag.tagger import AudioTagger

HELP = "prints the tags or the events of audio files"
EXAMPLES = """\
  fftp-tag clip.wav folder --top-k 3
  fftp-tag clip.wav --timeline
  fftp-tag clip.wav --model results/demo --plot clip.png
  fftp-tag folder --plot plots
  fftp-tag folder --format csv > tags.csv
  fftp-tag folder --timeline --format raven --output tables
  fftp-tag -- -name-with-a-dash.wav
To tag a file with the name of a command, give its folder: ./page"""

LEAST = 0.0005  # a lower probability is printed as 0.000
EVENT_OPTIONS = ("window", "hop", "threshold", "merge_gap", "min_duration")


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
    parser.add_argument(
        "--uncertain",
        type=options.number(int, 1),
        metavar="N",
        help="with --timeline, print only the N events whose probabilities are "
        "nearest to their thresholds, of all files",
    )
    options.add_rules(parser)
    options.add_windows(
        parser, "2; not for frame-level models", "a quarter of a window"
    )
    parser.add_argument(
        "--format",
        choices=list(FORMATS),
        default="table",
        help="output format (default: table); audacity is a label track, and "
        "raven a selection table, of the events of one recording",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="write a file for each recording, NAME.wav.txt, into this folder, "
        "in the same subfolders; files are never overwritten",
    )
    parser.add_argument(
        "--continue",
        dest="resume",
        action="store_true",
        help="skip recordings whose file is in the folder --output, or whose "
        "figure is in the folder --plot",
    )
    parser.add_argument(
        "--plot",
        metavar="PATH",
        help="draw the spectrogram and the timeline. If PATH has an extension, "
        "such as .png or .svg, it is the figure of a single file; otherwise it "
        "is a folder for NAME.wav.png of each file, in the same subfolders",
    )


def run(args: argparse.Namespace) -> int:
    """Prints or writes the tags or events of files; returns the exit code."""
    check_arguments(args)
    files = options.find_files(args.files)
    paths = output_paths(args, files)
    plots = plot_paths(args, files)
    if args.resume:
        done = {x for x in files if os.path.exists((paths or plots)[x])}
        output.report(f"{counted(len(done), 'file')} skipped: already done")
        files = [x for x in files if x not in done]
    tagger = options.load_tagger(args)
    rules = tagger.model.rules
    thresholds = rules.high if args.timeline else rules.threshold
    context = Context(
        timeline=args.timeline,
        thresholds=dict(zip(tagger.labels, thresholds.tolist())),
        show_thresholds=rules.is_learnt and args.threshold is None,
        sample_rate=tagger.sample_rate,
    )
    write = FORMATS[args.format].write

    def save(result: Result) -> None:
        """Writes a file into the folder --output, if it is given."""
        if paths:
            write_file(paths[result.file], write, result, context)

    failed: List[Result] = []
    found = find_results(args, tagger, files, plots, save)
    results = reported(found, failed)
    if args.uncertain:
        results = least_certain(results, args.uncertain, context.thresholds)
    if args.output is None:
        write(results, sys.stdout, context)
    else:
        for result in results:
            if result.error is None:
                print(f"wrote {output.printable(paths[result.file])}")
    if failed and len(files) > 1:
        output.report(f"{len(failed)} of {len(files)} files failed")
    return 1 if failed else 0


def write_file(
    path: str, write: Callable, result: Result, context: Context
) -> None:
    """Writes a result in a format; its file name may be no text."""
    from speechbrain_fftp.dataio.files import atomic_path

    with atomic_path(path) as temporary_path, open(
        temporary_path,
        "w",
        newline="",
        encoding="utf-8",
        errors="backslashreplace",
    ) as stream:
        write([result], stream, context)


def reported(
    results: Iterator[Result], failed: List[Result]
) -> Iterator[Result]:
    """Yields results to be printed, and reports those that are errors."""
    for result in results:
        if result.error is not None:
            failed.append(result)
            output.report(result.error)
        with output.above_bars():
            yield result
            sys.stdout.flush()


def least_certain(
    results: Iterator[Result], count: int, thresholds: Dict[str, float]
) -> Iterator[Result]:
    """Keeps the events whose probabilities are nearest to their thresholds."""
    found = [(x, event) for x in results for event in x.found]
    found.sort(key=lambda x: abs(x[1].probability - thresholds[x[1].label]))
    kept: Dict[str, List[Event]] = {}
    for result, event in found[:count]:
        kept.setdefault(result.file, []).append(event)
    for file, events in kept.items():
        yield Result(file, sorted(events, key=lambda event: event.start))


def check_arguments(args: argparse.Namespace) -> None:
    """Raises an InputError for options that do not suit each other."""
    of_events = options.given(
        args, "window", "hop", "merge_gap", "min_duration"
    )
    if of_events and not (args.timeline or args.plot):
        name = next(iter(of_events)).replace("_", "-")
        raise InputError(f"--{name} needs --timeline or --plot")
    if args.timeline and args.top_k:
        raise InputError("--top-k is for tags, not for events: use --threshold")
    if args.uncertain and (not args.timeline or args.output):
        raise InputError("--uncertain needs --timeline, and no --output")
    if args.resume and not (args.output or args.plot):
        raise InputError("--continue needs --output or --plot")
    if FORMATS[args.format].events_of_one_file and not args.timeline:
        raise InputError(f"--format {args.format} needs --timeline")


def output_paths(args: argparse.Namespace, files: List[str]) -> Dict[str, str]:
    """The path of each file's output in the folder --output, if it is given."""
    output_format = FORMATS[args.format]
    if args.output is None:
        if output_format.events_of_one_file and len(files) > 1:
            raise InputError(
                f"--format {args.format} is of one recording, but there are "
                f"{len(files)}: give --output DIR"
            )
        return {}
    paths = paths_in(args.output, args.files, files, output_format.extension)
    for path in paths.values():
        if os.path.exists(path) and not args.resume:
            raise InputError(
                f"{path} exists: give another --output, or --continue to skip "
                "what is done"
            )
    return paths


def plot_paths(args: argparse.Namespace, files: List[str]) -> Dict[str, str]:
    """The path of each file's figure, if --plot is given: it, or in it."""
    target = args.plot
    if target is None:
        return {}
    from fftp_tag.tag.plots import check_figure

    if os.path.splitext(target)[1] and not os.path.isdir(target):
        if len(files) > 1:
            raise InputError(
                f"--plot {target} is the figure of one file, but there are "
                f"{len(files)}: give a folder instead"
            )
        check_figure(target)
        return {files[0]: target}
    paths = paths_in(target, args.files, files, ".png")
    check_figure(paths[files[0]])
    return paths


def paths_in(
    folder: str, names: List[str], files: List[str], extension: str
) -> Dict[str, str]:
    """A path in a folder for each file, and makes its subfolder.

    Subfolders are those below what the given names, of files and folders, have
    in common, so that files of one name have different paths.
    """
    top = os.path.commonpath(
        [
            os.path.abspath(x if os.path.isdir(x) else os.path.dirname(x))
            for x in names
        ]
    )
    paths = {}
    for file in files:
        paths[file] = os.path.join(folder, os.path.relpath(file, top))
        paths[file] += extension
        os.makedirs(os.path.dirname(paths[file]), exist_ok=True)
    return paths


def find_results(
    args: argparse.Namespace,
    tagger: "AudioTagger",
    files: List[str],
    plots: Dict[str, str],
    save: Callable[[Result], None],
) -> Iterator[Result]:
    """Yields the tags or events of files; of one file, perhaps event by event.

    They are saved before.
    """
    from fftp_tag.parallel import in_order

    is_one = len(files) == 1
    as_events_end = FORMATS[args.format].as_events_end and args.output is None
    if as_events_end and is_one and args.timeline and not plots:
        try:
            for event in tagger.stream_long(
                read_source(files[0]),
                progress=True,
                **options.given(args, *EVENT_OPTIONS),
            ):
                yield Result(files[0], [event])
        except (InputError, OSError) as error:
            yield Result(files[0], [], one_line(error))
        return

    def analyze_file(file: str) -> Result:
        """The tags or events of a file, which are saved."""
        result = analyze(args, tagger, file, plots.get(file), is_one)
        save(result)
        return result

    for file, result, reason in in_order(
        analyze_file,
        files,
        num_workers=1 if is_one or plots else 4,
        progress=not is_one,
    ):
        yield result or Result(file, [], reason)


def analyze(
    args: argparse.Namespace,
    tagger: "AudioTagger",
    file: str,
    plot: Optional[str],
    progress: bool,
) -> Result:
    """The tags or events of a file; draws them into ``plot`` if it is given."""
    from fftp_tag.tag.events import rank_tags, tag_threshold

    source = read_source(file)
    if plot is not None:
        from fftp_tag.tag.plots import plot_tags

        windows = options.given(args, "window", "hop")
        timeline = tagger.analyze(source, progress=progress, **windows)
        rules = options.given(args, "threshold", "merge_gap", "min_duration")
        events = timeline.events(**rules)
        plot_tags(plot, tagger, source, timeline, events)
        if args.timeline:
            return Result(file, events)
        probs = timeline.clip_probs
    elif args.timeline:
        event_options = options.given(args, *EVENT_OPTIONS)
        events = tagger.tag_long(source, progress=progress, **event_options)
        return Result(file, events)
    else:
        probs = tagger.clip_probabilities(source, progress=progress)
    threshold = tag_threshold(tagger.model.rules, args.threshold)
    top_k = options.given(args, "top_k")
    tags = rank_tags(probs, tagger.labels, threshold=threshold, **top_k)
    best = rank_tags(probs, tagger.labels, top_k=1, threshold=LEAST)
    return Result(file, tags, best=best)


def read_source(file: str) -> Union[str, bytes]:
    """The path of a file, or the content of standard input.

    Some formats need random access, which standard input lacks.
    """
    if file != "-":
        return file
    if sys.stdin is None:
        raise InputError("standard input is closed")
    return sys.stdin.buffer.read()
