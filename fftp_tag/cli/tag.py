"""``fftp-tag tag``: Prints the tags of audio files or, with --timeline, events.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fftp_tag.cli import options, output
from fftp_tag.cli.formats import FORMATS, Context, Result
from fftp_tag.cli.output_folder import OutputFolder
from fftp_tag.errors import DAMAGED, InputError, counted
from fftp_tag.files import file_identity
from fftp_tag.held import LOCK, held
from fftp_tag.version import __version__

if TYPE_CHECKING:
    from fftp_tag.search.tagging import IndexTagger
    from fftp_tag.tag.tagger import AudioTagger

HELP = "prints the tags or the events of audio files"
EXAMPLES = """\
  fftp-tag clip.wav folder --top-k 3
  fftp-tag clip.wav --timeline
  fftp-tag clip.wav --model results/demo --plot clip.png
  fftp-tag folder --format csv > tags.csv
  curl URL | fftp-tag -
  fftp-tag folder --timeline --format raven --output tables
  fftp-tag my.index --model better.onnx --timeline
  fftp-tag -- -name-with-a-dash.wav
To tag a file with the name of a command, give its folder: ./page"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="audio files, or folders of audio files; - is standard input; or "
        "an index of fftp-tag index --for-tagging, whose files are not read",
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
    options.add_classes(parser)
    options.add_windows(
        parser,
        "2, or the length of a model of one length; not for frame-level models",
        "2, at most a window, at least a quarter of one",
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
        help="skip recordings whose file is in the folder --output, unless they "
        "have changed or could be read in part only",
    )
    parser.add_argument(
        "--plot",
        metavar="FIGURE",
        help="draw the spectrogram and the timeline of a single file into "
        "FIGURE, such as clip.png or clip.svg",
    )


def run(args: argparse.Namespace) -> int:
    """Prints or writes the tags or events of files; returns the exit code."""
    check_arguments(args)
    holding: contextlib.AbstractContextManager = contextlib.nullcontext()
    if args.output is not None:
        holding = held(os.path.join(args.output, LOCK))
    with holding:
        return tag_files(args)


def tag_files(args: argparse.Namespace) -> int:
    """The same, once --output is held."""
    from fftp_tag.parallel import in_order

    index = options.find_index(args.files)
    if index is not None:
        if args.plot is not None:
            raise InputError("--plot reads a file: give it, not an index")
        args.files = [index.settings.archive]
        files, n_without = [index.path(name) for name in index.files], 0
    else:
        files, n_without = options.find_files(args.files)
    names = output_names(args, files)
    if args.plot is not None:
        from fftp_tag.tag.plots import check_figure

        if len(files) > 1:
            raise InputError(
                f"--plot {args.plot} is the figure of one file, but there are "
                f"{len(files)}"
            )
        check_figure(args.plot)
    tagger = options.load_selected(args)
    indexed = None
    if index is not None:
        from fftp_tag.search.tagging import IndexTagger

        indexed = IndexTagger(index, tagger)
    if args.output is not None:
        folder = OutputFolder(args.output, made_by(args, tagger.model.digest))
    if args.resume:
        done = {file for file in files if folder.is_done(names[file], file)}
        output.report(f"{counted(len(done), 'file')} skipped: already done")
        files = [file for file in files if file not in done]
    if args.timeline or args.plot:
        options.report_cost(args, tagger)
    rules = tagger.model.rules
    thresholds = rules.high if args.timeline else rules.threshold
    context = Context(
        timeline=args.timeline,
        thresholds=dict(zip(tagger.labels, thresholds.tolist(), strict=False)),
        show_thresholds=rules.is_learnt and args.threshold is None,
        sample_rate=tagger.sample_rate,
    )
    write = FORMATS[args.format].write
    is_one = len(files) == 1
    pipes = {file: read_pipe(file) for file in args.files if is_pipe(file)}
    failed: list[str] = []
    damaged: list[str] = []

    def analyze_file(file: str) -> Result:
        """The tags or events of a file, which are written with --output."""
        if args.output is None:
            source = pipes.get(file, file)
            return analyze(args, tagger, indexed, file, source, is_one)
        identity = file_identity(file)  # it may change meanwhile
        result = analyze(args, tagger, indexed, file, file, is_one)
        text = io.StringIO(newline="")
        write([result], text, context)
        # Names of files may be no text
        content = text.getvalue().encode("utf-8", "backslashreplace")
        folder.write(names[file], content, identity, result.damage)
        return result

    def results() -> Iterator[Result]:
        """Yields results to be printed, and reports those that are errors."""
        for file, result, reason in in_order(
            analyze_file, files, progress=not is_one
        ):
            if reason is not None:
                failed.append(file)
                output.report(reason)
            elif result is not None and result.damage is not None:
                damaged.append(file)
            with output.above_bars():
                yield result or Result(file, [], reason)
                sys.stdout.flush()

    if args.output is None:
        write(results(), sys.stdout, context)
    else:
        for result in results():
            if result.error is None:
                path = os.path.join(args.output, names[result.file])
                print(f"wrote {output.printable(path)}")
    if failed and len(files) > 1:
        output.report(f"{len(failed)} of {len(files)} files failed")
    if damaged and len(files) > 1:
        output.report(f"{len(damaged)} of {len(files)} files are damaged")
    if failed or n_without:
        return 1
    return DAMAGED if damaged else 0


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
    if args.output and any(map(is_pipe, args.files)):
        raise InputError("--output needs names of files, not a pipe")
    if args.resume and not args.output:
        raise InputError("--continue needs --output")
    extensions = tuple(found.extension for found in FORMATS.values())
    if args.output and args.output.endswith(extensions):
        raise InputError(
            f"--output {args.output} would be a folder, with a file for each "
            "recording; for one file of all: --format FORMAT > FILE"
        )
    if FORMATS[args.format].events_of_one_file and not args.timeline:
        raise InputError(f"--format {args.format} needs --timeline")


def output_names(args: argparse.Namespace, files: list[str]) -> dict[str, str]:
    """The name of each file's output in the folder --output, if it is given.

    Makes its subfolder: one below what the given names, of files and folders,
    have in common, so that files of one name have different outputs.
    """
    output_format = FORMATS[args.format]
    if args.output is None:
        if output_format.events_of_one_file and len(files) > 1:
            raise InputError(
                f"--format {args.format} is of one recording, but there are "
                f"{len(files)}: give --output DIR"
            )
        return {}
    folders = [
        x if os.path.isdir(x) else os.path.dirname(x) for x in args.files
    ]
    top = os.path.commonpath([os.path.abspath(folder) for folder in folders])
    names = {}
    for file in files:
        names[file] = os.path.relpath(file, top) + output_format.extension
        path = os.path.join(args.output, names[file])
        if os.path.exists(path) and not args.resume:
            raise InputError(
                f"{path} exists: give another --output, or --continue to skip "
                "what is done"
            )
        os.makedirs(os.path.dirname(path), exist_ok=True)
    return names


def is_pipe(file: str) -> bool:
    """Whether a name is that of standard input or of another pipe."""
    return file == "-" or (
        os.path.exists(file) and stat.S_ISFIFO(os.stat(file).st_mode)
    )


def read_pipe(file: str) -> bytes:
    """The content of a pipe, which can be read only once."""
    if file == "-":
        return options.standard_input().read()
    with open(file, "rb") as pipe:
        return pipe.read()


def made_by(args: argparse.Namespace, model: str) -> dict[str, Any]:
    """What determines the files in --output, by the names of options."""
    rules = ("threshold", "merge_gap", "min_duration")
    values = options.given(
        args,
        *("timeline", "top_k", *rules, "window", "hop", "format"),
        *("labels", "not_labels"),
    )
    if args.thresholds is not None:
        values["thresholds"] = options.read_thresholds(args.thresholds)
    made_with = {
        f"--{name.replace('_', '-')}": value for name, value in values.items()
    }
    return {"version": __version__, "--model": model, **made_with}


def analyze(
    args: argparse.Namespace,
    tagger: "AudioTagger",
    indexed: "IndexTagger | None",
    file: str,
    source: str | bytes,
    progress: bool,
) -> Result:
    """The tags or events of a file; draws them with --plot.

    The source is the file, or its content; neither is read if it is indexed.
    """
    from fftp_tag.audio.pieces import Reading
    from fftp_tag.tag.events import rank_tags, tag_threshold

    reading = Reading(source)
    windows = options.given(args, "window", "hop")
    rules = options.given(args, "threshold", "merge_gap", "min_duration")
    if args.plot is not None or indexed is not None:
        if indexed is not None:
            timeline = indexed.analyze(file)
            reading.damage = indexed.files[file].damage
        else:
            timeline = tagger.analyze(reading, progress=progress, **windows)
        events = timeline.events(**rules)
        if args.plot is not None:
            from fftp_tag.tag.plots import plot_tags

            plot_tags(args.plot, tagger, source, timeline, events)
        if args.timeline:
            return Result(file, events, damage=reading.damage)
        probs = timeline.clip_probs
    elif args.timeline:
        events = tagger.tag_long(reading, progress=progress, **windows, **rules)
        return Result(file, events, damage=reading.damage)
    else:
        probs = tagger.clip_probabilities(reading, progress=progress)
    threshold = tag_threshold(tagger.model.rules, args.threshold)
    top_k = options.given(args, "top_k")
    tags = rank_tags(probs, tagger.labels, threshold=threshold, **top_k)
    # A lower probability is printed as 0.000
    best = rank_tags(probs, tagger.labels, top_k=1, threshold=0.0005)
    return Result(file, tags, best=best, damage=reading.damage)
