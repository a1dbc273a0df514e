"""The command ``fftp-tag``: its verbs, errors and exit codes.

A verb is a module of this folder with ``HELP``, ``EXAMPLES``,
``add_arguments(parser)`` and ``run(args)``, which returns the exit code or None
for 0. Modules of this folder import numpy inside functions, so that ``--help``
is fast.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import difflib
import importlib
import os
import sys
from typing import List, NoReturn, Optional, Tuple

from fftp_tag.cli import output
from fftp_tag.errors import one_line
from speechbrain_fftp import __version__
from speechbrain_fftp.dataio.errors import InputError

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
}
DESCRIPTION = """\
Tags sounds in audio files. `fftp-tag FILE...` is short for `fftp-tag tag
FILE...`; `fftp-tag COMMAND --help` describes a command."""


class Parser(argparse.ArgumentParser):
    """Suggests an option for a misspelt one."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with a message and the exit code 2."""
        unknown = message.partition("unrecognized arguments: ")[2].split()
        for word in unknown[:1]:
            similar = difflib.get_close_matches(
                word.partition("=")[0], self._option_string_actions, 1
            )
            if similar:
                message += f" (did you mean {similar[0]}?)"
        super().error(message)


def make_parsers(verb: str) -> Tuple[Parser, Parser]:
    """The parser of the command, and the parser of a verb.

    The parsers of other verbs get no arguments.
    """
    parser = Parser(
        prog="fftp-tag",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"fftp-tag {__version__}"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parsers = {}
    for name, file in VERBS.items():
        module = importlib.import_module(f"fftp_tag.cli.{file}")
        about = (module.__doc__ or "").partition("Authors")[0]
        parsers[name] = commands.add_parser(
            name,
            help=module.HELP,
            description=about.partition(": ")[2],
            epilog=f"examples:\n{module.EXAMPLES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == verb:
            module.add_arguments(parsers[name])
            parsers[name].set_defaults(run=module.run)
    return parser, parsers[verb]


def parse(argv: List[str]) -> argparse.Namespace:
    """Parses arguments; after ``--``, all are files, such as ``-dash.wav``."""
    first = argv[0] if argv else "--help"
    parser, verb = make_parsers(first if first in VERBS else "tag")
    if first in ("-h", "--help", "--version"):
        parser.parse_args([first])
    if first not in VERBS:
        similar = difflib.get_close_matches(first, VERBS, 1, cutoff=0.7)
        if similar and not os.path.exists(first):
            parser.error(
                f"there is no file or command {first!r} (did you mean "
                f"{similar[0]}?)"
            )
        argv = ["tag", *argv]
    end = argv.index("--") if "--" in argv else len(argv)
    args = verb.parse_intermixed_args(argv[1:end])
    files = argv[end + 1 :]
    if files and "files" not in args:
        verb.error(f"unrecognized arguments: -- {' '.join(files)}")
    if "files" in args:
        args.files += files
        if not args.files:
            verb.error("give at least one file")
    return args


def main(argv: Optional[List[str]] = None) -> int:
    """Runs the command; by default, the arguments are those of the process.

    Returns the exit code: 0; 1 if a file, the model or an option cannot be used;
    130 if it was interrupted. Unknown options end the process with 2.
    """
    for stream in (sys.stdout, sys.stderr):  # file names can be any bytes
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    args = parse(sys.argv[1:] if argv is None else list(argv))
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
    except (InputError, OSError) as error:
        output.report(one_line(error))
        output.discard_standard_output()
    return 1


if __name__ == "__main__":
    sys.exit(main())
