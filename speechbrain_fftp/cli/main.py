"""The command ``fftp-tag``: its verbs, errors and exit codes.

A verb is a module of this folder with ``DESCRIPTION``, ``EXAMPLES``,
``add_options(parser)`` and ``run(args, parser)``, which returns the exit code
or None for 0, and an entry of ``VERBS``. Modules of this folder import torch
and numpy inside functions, so that ``--help`` is fast.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import os
import sys

from speechbrain_fftp.cli import options, output

# The module of each verb, and what the verb does. Without one: tag.py.
VERBS = {
    "calibrate": ("calibrate", "learns a threshold for each class"),
    "evaluate": ("evaluate", "scores a model on labelled clips"),
    "export": ("export", "writes a model as an ONNX file"),
    "find": ("find", "finds what sounds like an example in an archive"),
    "import": ("import_model", "writes a published model as a folder"),
    "index": ("index", "makes an index of an archive of recordings, for find"),
    "learn": ("learn", "learns your own classes from a few clips"),
    "listen": ("listen", "prints the events in a stream as they begin and end"),
    "page": ("page", "writes a page that tags sounds in the browser"),
}


def main(argv=None):
    """Runs the command with these arguments, by default those of the process.

    Returns the exit code: 0; 1 if a file or the model could not be read or the
    output not written; 2 if the options do not suit the model; 130 if it was
    interrupted. Invalid options end the process with 2.
    """
    # Before torch is imported: its threads that wait for others would otherwise
    # spin, and keep other processes, and each other, from the cores
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    argv = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):  # file names can be any bytes
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return run_verb(argv) or 0
        finally:  # here, since errors at exit cannot be handled
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the output has stopped, as `head`
        output.discard_standard_output()
        return 1
    except output.EXPECTED_ERRORS as error:
        output.report(error, verbose="--verbose" in argv)
        output.discard_standard_output()
        return 2 if isinstance(error, options.UnsuitableOption) else 1


def run_verb(argv):
    """Parses the arguments and runs the verb; returns its exit code."""
    verb = argv[0] if argv and argv[0] in VERBS else ""
    if verb:
        name, _ = VERBS[verb]
        argv = argv[1:]
    else:
        name = "tag"
    module = importlib.import_module(f"speechbrain_fftp.cli.{name}")
    parser = options.new_parser(f"fftp-tag {verb}".strip(), module)
    if not verb:
        parser.description += "\n\nother commands:"
        for other, (_, what) in VERBS.items():
            parser.description += f"\n  {other:9} {what}"
    args = options.parse(parser, argv)
    with output.shown_warnings(args.verbose):
        return module.run(args, parser)


if __name__ == "__main__":
    sys.exit(main())
