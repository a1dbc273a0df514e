"""``fftp-tag share``: Writes a folder to upload to the Hugging Face hub.

The folder has the model and README.md, a card that says what it is and, of learnt
models, how they scored; the list attribution.csv of the recordings that the model has
learnt from, if it is beside the model or in this package; of a training, also the
files for SpeechBrain. Nothing is uploaded: the command for it is printed.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from fftp_tag.errors import InputError
from fftp_tag.files import check_new_folder, moved_together, read_text
from fftp_tag.model.hub import HUB_ID
from fftp_tag.model.sources import STARTER_MODEL

if TYPE_CHECKING:
    from fftp_tag.model.session import Model

HELP = "writes a folder to upload to the Hugging Face hub"
EXAMPLES = """\
  fftp-tag share results/demo shared --name me/beeps --license apache-2.0
  fftp-tag share model.onnx shared --name me/birds --license cc-by-4.0 \\
      --about birds.md
  fftp-tag share model.onnx space --name me/birds --license cc-by-4.0 \\
      --for space"""

# They tell that a folder is the inference folder of a training
FOR_SPEECHBRAIN = ("README.md", "custom.py", "hyperparams.yaml")

ATTRIBUTION = "attribution.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this verb."""
    parser.add_argument(
        "model", metavar="MODEL", help="as --model of the other commands"
    )
    parser.add_argument(
        "folder", metavar="FOLDER", help="folder to write, new or empty"
    )
    parser.add_argument(
        "--name",
        required=True,
        metavar="OWNER/NAME",
        help="where the folder will be on the hub",
    )
    parser.add_argument(
        "--license",
        required=True,
        metavar="LICENSE",
        help="licence of the weights, by its name on the hub, such as "
        "apache-2.0 or cc-by-4.0; the data may restrict it",
    )
    parser.add_argument(
        "--for",
        dest="form",
        choices=("hub", "space"),
        default="hub",
        help="hub: for fftp-tag, SpeechBrain and ONNX Runtime (the default); "
        "space: a page that tags sounds in the browser",
    )
    parser.add_argument(
        "--about",
        metavar="FILE",
        help="text in Markdown to add to the card: what the model has learnt "
        "from, and whom to credit",
    )


def run(args: argparse.Namespace) -> None:
    """Writes the folder and prints how to upload it."""
    from fftp_tag.cli.page import load_model
    from fftp_tag.learning.report import read_report
    from fftp_tag.model.card import write_card

    if not HUB_ID.fullmatch(args.name):
        raise InputError(f"--name {args.name} is not owner/name")
    about = "" if args.about is None else read_text(args.about)
    target = args.folder
    check_new_folder(target)
    with moved_together(target) as folder:
        model = load_model(args.model)
        speechbrain = write_files(folder, model, args.form)
        attribution = find_attribution(model)
        if attribution is not None:
            shutil.copy(attribution, folder / ATTRIBUTION)
        write_card(
            folder,
            model,
            args.name,
            args.license,
            args.form,
            about,
            speechbrain,
            read_report(model),
        )
    print(f"wrote {target}: read its README.md, then upload it with")
    space = ""
    if args.form == "space":
        print(f"hf repos create {args.name} --type space --space-sdk static")
        space = " --repo-type space"
    print(f"hf upload {args.name} {shlex.quote(target)}{space}")


def find_attribution(model: "Model") -> Path | None:
    """The list of the recordings that a model, or its encoder, has learnt from."""
    beside = Path(model.path).with_name(ATTRIBUTION)
    if beside.is_file():
        return beside
    ours = STARTER_MODEL.with_name(ATTRIBUTION)
    name = ours.relative_to(ours.parents[2]).as_posix()
    return ours if name in (model.info.credit or "") else None


def write_files(folder: Path, model: "Model", form: str) -> str | None:
    """Writes all files but the card.

    Returns how SpeechBrain loads the folder, if its files are beside the model.
    """
    from fftp_tag.cli.page import write_page
    from fftp_tag.model.edit import copy_model

    path = folder / "model.onnx"
    if form == "space":
        write_page(folder, model, dist=None, example=None)
        return None
    copy_model(model.path, path, model.info)
    source, speechbrain = Path(model.path), None
    files = [x for x in source.parent.iterdir() if x.is_file()]
    if source.name == path.name and {x.name for x in files}.issuperset(
        FOR_SPEECHBRAIN
    ):
        speechbrain = source.with_name("README.md").read_text("utf-8")
        for file in files:
            if ".onnx" not in file.name:
                shutil.copy(file, folder)
    return speechbrain
