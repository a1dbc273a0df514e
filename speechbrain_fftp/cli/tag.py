"""``fftp-tag FILE...``: prints the tags or the events of audio files.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

from speechbrain_fftp.cli import options, output

DESCRIPTION = """\
Prints the most probable tags of audio files, or a timeline of events."""
EXAMPLES = """\
  fftp-tag clip.wav folder --model results/demo/inference --top-k 3
  fftp-tag clip.wav --model results/demo/inference --timeline
  fftp-tag folder --model results/demo/inference --format csv > tags.csv
  fftp-tag --model results/demo/inference -- -name-with-a-dash.wav
To tag a file that has the name of a command, write ./page."""
NAN = "the model returns NaN: its weights are damaged, train it again"


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="audio files, folders of audio files, or - for standard input",
    )
    parser.add_argument(
        "--top-k",
        type=options.number_type(int, low=1),
        metavar="N",
        help="number of tags per file (default: 5)",
    )
    options.add_threshold(
        parser,
        "drop tags below this probability; with --timeline, the probability "
        "that an event must reach",
    )
    parser.add_argument(
        "--timeline",
        action="store_true",
        help="print events with start and end in seconds instead of tags",
    )
    options.add_windows(
        parser,
        "window length of the timeline (default: time steps of a model that "
        "classifies them, or 2)",
    )
    parser.add_argument(
        "--merge_gap",
        type=options.number_type(float, low=0),
        metavar="SECONDS",
        help="join events of a class that are less than this apart (default: 0)",
    )
    parser.add_argument(
        "--min_duration",
        type=options.number_type(float, low=0),
        metavar="SECONDS",
        help="then drop events that are shorter than this (default: 0)",
    )
    options.add_device(parser)
    parser.add_argument(
        "--format",
        choices=output.OUTPUT_FORMATS,
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


def run(args, parser):
    """Prints the tags or events of files; returns the exit code."""
    if args.format == "audacity":
        args.timeline = True
    if not (args.timeline or args.plot) and (args.window or args.hop):
        parser.error("--window and --hop require --timeline or --plot")
    if not args.timeline and (args.merge_gap or args.min_duration):
        parser.error("--merge_gap and --min_duration require --timeline")
    if args.timeline and args.top_k:
        parser.error("--top-k is for tags, not for events: use --threshold")
    files, errors = output.find_files(args.files)
    if len(files) > 1 and (args.plot or args.format == "audacity"):
        parser.error("--plot and --format audacity take one file at a time")
    if args.plot:
        if args.model.endswith(".onnx"):
            parser.error(
                f"--plot needs the model that {args.model} was exported from"
            )
        check_plot(args.plot, parser)
    tagger = options.load_tagger(args)
    options.check_fit(args, tagger)
    return print_results(args, tagger, files, errors)


def check_plot(path, parser):
    """Ends the process unless a picture can be written to a path."""
    from speechbrain_fftp.inference.plots import check_extension

    output.check_target(path)
    try:
        check_extension(path)
    except ValueError as error:
        parser.error(f"argument --plot: {error}")


def print_results(args, tagger, files, errors):
    """Prints results as they come, and errors; returns the exit code.

    ``errors`` are those of folders, see ``output.find_files``.
    """
    import numpy as np
    from tqdm import tqdm

    thresholds = None
    if args.threshold == "auto":
        thresholds = dict(zip(tagger.labels, tagger.thresholds))
    printed = output.Output(args.format, args.timeline, thresholds)
    for folder, error in errors:
        output.report(error)
        printed.add(folder, [], output.one_line(error))
    n_failed = 0
    is_terminal = sys.stderr.isatty()
    for file, found, error in tqdm(
        iterate_results(
            args, tagger, files, progress=is_terminal and len(files) == 1
        ),
        total=len(files),
        unit="file",
        leave=False,
        disable=len(files) == 1 or not is_terminal,
    ):
        if error is None and np.isnan([x.probability for x in found]).any():
            error = NAN
        if error is not None:
            n_failed += 1
            output.report(error, args.verbose)
            error = output.one_line(error)
        with tqdm.external_write_mode():
            printed.add(file, found, error)
    printed.close()
    if n_failed and len(files) > 1:
        output.report(f"{n_failed} of {len(files)} files failed")
    return 1 if n_failed or errors else 0


def iterate_results(args, tagger, files, progress):
    """Yields files, each with its tags or events and its error, if any."""
    limits = options.given(
        args, "top_k", "threshold", "merge_gap", "min_duration"
    )
    one_by_one = args.timeline or args.plot or args.verbose or "-" in files
    if len(files) > 1 and not one_by_one:
        for result in tagger.tag_files(files, **limits):
            yield result.file, result.tags or [], result.error
        return
    for file in files:
        try:
            source = standard_input() if file == "-" else file
            if args.timeline or args.plot:
                found = analyze(args, tagger, source, limits, progress)
            else:
                found = tagger.tag_file(source, progress=progress, **limits)
        except output.EXPECTED_ERRORS as error:
            yield file, [], error
        else:
            yield file, found, None


def standard_input():
    """The content of standard input, in which samples need not be in order."""
    if sys.stdin is None:
        raise ValueError("standard input is closed")
    return sys.stdin.buffer.read()


def analyze(args, tagger, source, limits, progress):
    """The tags or events of a file, plotted if --plot is given."""
    import numpy as np

    timeline = tagger.analyze(source, args.window, args.hop, progress)
    if np.isnan(timeline.probs).any():
        raise ValueError(NAN)
    if args.plot:
        from speechbrain_fftp.inference.plots import plot_tags

        plot_tags(
            args.plot,
            tagger,
            tagger.load_wav(source),
            timeline,
            events=timeline.events(
                **options.given(args, "threshold", "merge_gap", "min_duration")
            ),
        )
    if args.timeline:
        return timeline.events(**limits)
    return timeline.tags(**limits)
