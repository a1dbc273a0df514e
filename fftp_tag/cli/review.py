"""``fftp-tag review``: Checks what a model finds in recordings, by ear.

Opens a page in the browser that plays candidates: the events of a model, and
where it nearly found one. Press y or n, or the number of another class. The
address has a token, without which nobody can open the page. Candidates that are
answered are not asked for again, also when the command is given again.

Writes review.csv into --output; fftp-tag learn learns from it with --reviewed.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import collections
import contextlib
import math
import os
import shlex
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from fftp_tag.cli import options, output
from fftp_tag.errors import InputError, counted
from fftp_tag.held import LOCK, held
from fftp_tag.packages import require

if TYPE_CHECKING:
    from fftp_tag.data.reviewed import Answer
    from fftp_tag.search.index import SoundIndex
    from fftp_tag.tag.tagger import AudioTagger

HELP = "checks what a model finds in recordings, by ear"
EXAMPLES = """\
  fftp-tag review recordings --model my_sounds.onnx
  fftp-tag review recordings --model my_sounds.onnx --minutes 10
  fftp-tag review recordings --model my_sounds.onnx --order random
  fftp-tag review archive.index --model my_sounds.onnx --order top --label Bark
  fftp-tag learn my_sounds --reviewed reviewed --output better.onnx"""
# As in ORDERS, whose module imports numpy
ORDER_NAMES = ("uncertain", "random", "top")
PAGE = ".review.html"  # in --output, while the page is served


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "recordings",
        metavar="RECORDINGS",
        help="folder of recordings, one recording, or an index of fftp-tag "
        "index, whose recordings are heard",
    )
    options.add_model(parser)
    parser.add_argument(
        "--order",
        choices=ORDER_NAMES,
        default="uncertain",
        help="uncertain: probabilities near the threshold first; random: events "
        "at random, to measure how many are right; top: the most probable first "
        "(default: uncertain); the page can change it",
    )
    parser.add_argument(
        "--label",
        metavar="CLASS",
        help="ask for this class only (default: all classes)",
    )
    parser.add_argument(
        "--minutes",
        type=options.number(float, 0.1),
        default=math.inf,
        metavar="N",
        help="end after so many minutes of sound (default: when all is heard)",
    )
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        default="reviewed",
        help="folder of answers (default: reviewed)",
    )
    parser.add_argument(
        "--no-browser",
        action="store_true",
        help="only print the address of the page",
    )


def run(args: argparse.Namespace) -> int:
    """Serves the page until it is done, then prints what was heard."""
    require("sklearn", "Reviewing")
    top, names, index = find_recordings(args.recordings)
    with held(os.path.join(args.output, LOCK)):
        return review(args, top, names, index)


def review(
    args: argparse.Namespace,
    top: str,
    names: list[str],
    index: "SoundIndex | None",
) -> int:
    """The same, of recordings in a folder, once --output is held."""
    from fftp_tag.data.reviewed import ReviewFolder
    from fftp_tag.model.session import NO_CLASSES
    from fftp_tag.review.candidates import listen
    from fftp_tag.review.server import ReviewServer
    from fftp_tag.review.session import Session
    from fftp_tag.search.tagging import IndexTagger

    folder = ReviewFolder(args.output)
    tagger = options.load_tagger(args)
    if not tagger.labels:
        raise InputError(NO_CLASSES.format(tagger.model.path))
    if args.label is not None and args.label not in tagger.labels:
        raise InputError(
            f"--label {args.label} is no class of {tagger.model.path}, which "
            f"has {', '.join(tagger.labels)}"
        )
    heard_by: AudioTagger | IndexTagger = tagger
    if index is not None:
        heard_by = IndexTagger(index, tagger)
    candidates, reasons = listen(heard_by, top, names, progress=True)
    for reason in reasons:
        output.report(reason)
    if len(reasons) == len(names):
        raise InputError("none of the recordings can be read")
    session = Session(
        candidates,
        folder,
        tagger.labels,
        tagger.model.digest,
        args.order,
        args.label,
        args.minutes,
    )
    if session.open_candidates("uncertain", None):
        with ReviewServer(session) as server:
            print(
                f"{counted(len(candidates), 'candidate')} in "
                f"{counted(len(names) - len(reasons), 'recording')}: hear them at "
                f"{server.address}  (Done there, or Ctrl+C here, ends)",
                flush=True,
            )
            page = os.path.join(args.output, PAGE)
            try:
                if not args.no_browser:
                    open_browser(server.address, page)
                server.serve_forever()
            except KeyboardInterrupt:  # the usual end: all answers are written
                print()
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(page)
    else:
        print("there is nothing left to hear in these recordings")
    print_summary(folder.answers, tagger.model.digest)
    if folder.answers:
        print(
            f"The answers are in {output.printable(args.output)}. To learn from "
            "them, with the CLIPS and options as before:\n"
            f"  fftp-tag learn CLIPS --reviewed {shlex.quote(args.output)} "
            "--output better.onnx"
        )
    return int(len(reasons) > 0)


def open_browser(address: str, page: str) -> None:
    """Opens an address by a file that only this account can read.

    Since all accounts can read the arguments of a browser.
    """
    with contextlib.suppress(FileNotFoundError):
        os.remove(page)
    descriptor = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(f'<meta http-equiv="refresh" content="0;url={address}">')
    webbrowser.open(Path(page).absolute().as_uri())


def find_recordings(source: str) -> tuple[str, list[str], "SoundIndex | None"]:
    """A folder, paths from there of the recordings to hear, and their index if
    the model can tag it.
    """
    index = options.find_index([source])
    if index is not None:
        own = index if index.settings.for_tagging else None
        return index.settings.archive, [*index.files], own
    if not os.path.exists(source):
        raise InputError(f"{source}: there is no such file or folder")
    if os.path.isfile(source):
        path = os.path.abspath(source)
        return os.path.dirname(path), [os.path.basename(path)], None
    files, _ = options.find_files([source])
    names = [os.path.relpath(file, source) for file in files]
    return os.path.abspath(source), names, None


def print_summary(answers: list["Answer"], model: str) -> None:
    """Prints how many candidates of each class were heard, and how many are right.

    Of the events of a model, by its checksum, that were chosen at random, with
    an interval, unless others of their recordings have answers: these are not
    asked for again, and what is left is no random part.
    """
    counts = collections.Counter((x.asked, x.answer) for x in answers)
    minutes = sum(x.end - x.start for x in answers) / 60
    print(f"heard {counted(len(answers), 'candidate')}, {minutes:.1f} minutes")
    kinds = ("yes", "no", "other", "skip")
    if answers:
        print(f"{'yes':>5}{'no':>6}{'other':>7}{'skipped':>9}  class asked for")
    for label in sorted({x.asked for x in answers}):
        yes, no, other, skipped = (counts[label, kind] for kind in kinds)
        print(f"{yes:5d}{no:6d}{other:7d}{skipped:9d}  {label}")
    drawn = [x for x in answers if (x.order, x.model) == ("random", model)]
    heard = [x for x in drawn if x.answer != "skip"]
    paths = {x.path for x in heard}
    if any(x.path in paths and x not in drawn for x in answers):
        print(
            "How many events are right is not measured: these recordings have "
            "answers in other orders, or of other models, too."
        )
    elif heard:
        from fftp_tag.score.intervals import exact_interval

        right = sum(x.answer == "yes" for x in heard)
        low, high = exact_interval(right / len(heard), len(heard))
        print(
            f"of {counted(len(heard), 'event')} in random order, {right} are "
            f"right: {right / len(heard):.3f} [{low:.3f}, {high:.3f}]\n"
            "  [exact 95 % interval, for the events that this model finds in "
            "recordings like these]"
        )
