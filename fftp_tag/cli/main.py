"""The command ``fftp-tag``: its verbs, errors and exit codes.

A verb is a module of this folder with ``HELP``, ``EXAMPLES``,
``add_arguments(parser)`` and ``run(args)``, which returns the exit code or None
for 0. Modules of this folder import numpy inside functions, so that ``--help``
is fast.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import importlib
import os
import signal
import sys

from fftp_tag.cli import output
from fftp_tag.errors import OF_INPUT, one_line
from fftp_tag.version import __version__

# The module of each verb
VERBS = {
    "tag": "tag",
    "calibrate": "calibrate",
    "evaluate": "evaluate",
    "find": "find",
    "import": "import_model",
    "index": "index",
    "learn": "learn",
    "listen": "listen",
    "page": "page",
    "review": "review",
    "share": "share",
}
DESCRIPTION = """\
Tags sounds in audio files. `fftp-tag FILE...` is short for `fftp-tag tag
FILE...`; `fftp-tag COMMAND --help` describes a command."""


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = argparse.ArgumentParser(
        prog="fftp-tag",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"fftp-tag {__version__}"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for verb, file in VERBS.items():
        module = importlib.import_module(f"fftp_tag.cli.{file}")
        about = (module.__doc__ or "").partition("Authors")[0]
        verb_parser = commands.add_parser(
            verb,
            help=module.HELP,
            description=about.partition(": ")[2],
            epilog=f"examples:\n{module.EXAMPLES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(verb_parser)
        verb_parser.set_defaults(run=module.run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs the command; by default, the arguments are those of the process.

    Returns the exit code: 0; 1 if a file, the model or an option cannot be
    used; 3 if a file was read in part only; 130 if it was interrupted. Unknown options end the process with 2.
    """
    for stream in (sys.stdout, sys.stderr):  # file names can be any bytes
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    argv = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    parser = make_parser()
    if argv[0] not in (*VERBS, "-h", "--help", "--version"):
        argv.insert(0, "tag")
    args = parser.parse_args(argv)
    # As Ctrl-C: what is done is kept, and what is half written is removed
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        try:
            with output.shown_messages():
                return args.run(args) or 0
        finally:  # here, since errors at exit cannot be handled
            sys.stdout.flush()
    except KeyboardInterrupt:
        os._exit(130)  # does not wait for threads that read files
    except BrokenPipeError:  # the reader of the output has stopped, e.g. `head`
        output.discard_standard_output()
    except OF_INPUT as error:
        output.report(one_line(error))
        output.discard_standard_output()
    return 1


if __name__ == "__main__":
    sys.exit(main())
