"""``fftp-tag FILE...``: prints the tags or the events of audio files.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import sys

from speechbrain_fftp.cli import options, output

DESCRIPTION = """\
Prints the most probable tags of audio files, or a timeline of events."""
EXAMPLES = """\
  fftp-tag clip.wav folder --model results/demo/inference --top-k 3
  fftp-tag clip.wav --model results/demo/inference --timeline --window 1
  fftp-tag folder --model results/demo/inference --format csv > tags.csv
  fftp-tag --model results/demo/inference -- -name-with-a-dash.wav
To tag a file that has the name of a command, write ./serve."""
NAN = "the model returns NaN: its weights are damaged, train it again"


def add_options(parser):
    """Adds the options of this verb."""
    add = parser.add_argument
    text = "audio files, folders of audio files, or - for standard input"
    add("files", nargs="*", metavar="FILE", help=text)
    text = "number of tags per file (default: 5)"
    add("--top-k", type=options.in_range(int, 1), metavar="N", help=text)
    text = "drop tags below this probability; with --timeline, the probability"
    options.add_threshold(parser, f"{text} that an event must reach")
    text = "print events with start and end in seconds instead of tags"
    add("--timeline", action="store_true", help=text)
    text = "window length of the timeline (default: 10, or the model's maximum "
    options.add_windows(parser, f"{text}if that is less)")
    text = "output format (default: table); audacity is a label track of "
    text += "events and implies --timeline"
    add("--format", choices=output.OUTPUT_FORMATS, default="table", help=text)
    text = "draw the spectrogram and the timeline of the file; the extension, "
    text += "such as .png or .svg, sets the format"
    add("--plot", metavar="PNG", help=text)


def run(args, parser):
    """Prints the tags or events of files; returns the exit code."""
    args.timeline |= args.format == "audacity"
    if not (args.timeline or args.plot) and (args.window or args.hop):
        parser.error("--window and --hop require --timeline or --plot")
    if args.timeline and args.top_k:
        parser.error("--top-k is for tags, not for events: use --threshold")
    files, errors = output.find_files(args.files)
    if len(files) > 1 and (args.plot or args.format == "audacity"):
        parser.error("--plot and --format audacity take one file at a time")
    if args.plot:
        from speechbrain_fftp.inference.plots import check_extension

        output.check_target(args.plot)
        try:
            check_extension(args.plot)
        except ValueError as error:
            parser.error(f"argument --plot: {error}")
    tagger = options.load_tagger(args)
    if not options.windows_fit(args, tagger):
        return 2
    with output.standard_output():
        return _print_results(args, tagger, files, errors)


def _print_results(args, tagger, files, errors):
    """Prints results as they come, and errors; returns the exit code."""
    from tqdm import tqdm

    printed = output.Output(args.format, args.timeline)
    for folder, error in errors:
        output.report(error)
        printed.add(folder, [], output.one_line(error))
    failed, several = 0, len(files) > 1
    terminal = sys.stderr.isatty()
    for file, found, error in tqdm(
        _results(args, tagger, files, progress=terminal and not several),
        total=len(files),
        unit="file",
        leave=False,
        disable=not (terminal and several),
    ):
        if error is None and math.isnan(sum(x.probability for x in found)):
            error = NAN
        if error is not None:
            failed += 1
            output.report(error, args.verbose)
            error = output.one_line(error)
        with tqdm.external_write_mode():
            printed.add(file, found, error)
    printed.close()
    if failed and several:
        output.report(f"{failed} of {len(files)} files failed")
    return 1 if failed or errors else 0


def _results(args, tagger, files, progress):
    """Yields files, each with its tags or events, or with an error."""
    limits = options.given(args, "top_k", "threshold")
    plain = not (args.timeline or args.plot or args.verbose or "-" in files)
    if plain and len(files) > 1:
        for found in tagger.tag_files(files, **limits):
            yield found.file, found.tags, found.error
        return
    for file in files:
        found, problem = [], None
        try:
            source = _standard_input(args) if file == "-" else file
            if args.timeline or args.plot:
                found = _analyze(args, tagger, source, limits, progress)
            else:
                found = tagger.tag_file(source, progress=progress, **limits)
        except output.EXPECTED_ERRORS as error:
            problem = error
        yield file, found, problem


def _standard_input(args):
    """Standard input as a file, or its content if it is read twice."""
    if sys.stdin is None:
        raise ValueError("standard input is closed")
    return sys.stdin.buffer.read() if args.plot else sys.stdin.buffer


def _analyze(args, tagger, source, limits, progress):
    """The tags or events of a file, plotted if --plot is given."""
    timeline = tagger.analyze(source, args.window, args.hop, progress)
    if timeline.probs.isnan().any():
        raise ValueError(NAN)
    if args.plot:
        from speechbrain_fftp.inference.plots import plot_tags

        plot_tags(args.plot, tagger, tagger.load_wav(source), timeline)
    find = timeline.events if args.timeline else timeline.tags
    return find(**limits)
