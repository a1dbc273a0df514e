"""``fftp-tag page``: Writes a page that tags sounds in the browser.

The model runs in the browser: nothing is uploaded. Any web server can serve the
files in FOLDER.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fftp_tag
from fftp_tag.errors import InputError
from fftp_tag.files import (
    check_new_folder,
    moved_together,
    read_json,
    write_json,
)

if TYPE_CHECKING:
    from fftp_tag.model.info import ModelInfo
    from fftp_tag.model.session import Model

HELP = "writes a page that tags sounds in the browser"
EXAMPLES = """\
  fftp-tag page results/demo page --example clip.wav
  npm install --no-package-lock onnxruntime-web@1.30.0
  fftp-tag page model.onnx page --runtime node_modules"""

STATIC = Path(fftp_tag.__file__).parent / "page"
# ONNX Runtime for browsers: the version in package.json, and the hashes of its
# two files. page.json passes them to the page, where the browser checks them.
# It runs in one thread, which needs no special HTTP headers.
PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
INTEGRITY = {
    "ort.wasm.bundle.min.mjs": "sha384-PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
    "ort-wasm-simd-threaded.wasm": "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
}
HOST = f"https://cdn.jsdelivr.net/npm/{PACKAGE}@{VERSION}/dist/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this verb."""
    parser.add_argument(
        "model", metavar="MODEL", help="as --model of the other commands"
    )
    parser.add_argument(
        "folder", metavar="FOLDER", help="folder to write, new or empty"
    )
    parser.add_argument(
        "--runtime",
        metavar="NODE_MODULES",
        help=f"copy ONNX Runtime from this folder, in which npm has installed "
        f"{PACKAGE} {VERSION}; by default, the browser loads it from "
        "cdn.jsdelivr.net",
    )
    parser.add_argument(
        "--example",
        metavar="FILE",
        help="audio file for the button 'Try an example' (default: no button)",
    )


def run(args: argparse.Namespace) -> None:
    """Writes the folder and prints how to view it."""
    dist = None if args.runtime is None else find_runtime(args.runtime)
    check_new_folder(args.folder)
    with moved_together(args.folder) as folder:
        model = load_model(args.model)
        write_page(folder, model, dist, args.example)
    print(
        f"wrote {args.folder}: view it with python -m http.server --bind "
        f"127.0.0.1 --directory {args.folder}, or copy it to any web server"
    )


def load_model(source: str) -> "Model":
    """Loads a model that has classes, and checks it."""
    from fftp_tag.model.session import NO_CLASSES, Model
    from fftp_tag.model.sources import find_or_convert

    model = Model(find_or_convert(source))
    if not model.labels:
        raise InputError(NO_CLASSES.format(model.path))
    model.check()
    return model


def write_page(
    folder: Path,
    model: "Model",
    dist: Path | None,
    example: str | None,
) -> None:
    """Writes the page into an empty folder; ``dist`` holds the runtime."""
    from fftp_tag.audio.decode import read_duration
    from fftp_tag.model.edit import write_with_state
    from fftp_tag.model.session import Model

    for file in STATIC.iterdir():
        shutil.copyfile(file, folder / file.name)
    about = describe(model.info)
    if about["live"].get("has_state"):
        write_with_state(Path(model.path), folder / "model.onnx", model.info)
    else:
        shutil.copyfile(model.path, folder / "model.onnx")
    write_json(folder / "model.json", about)
    settings = {"runtime": HOST, "integrity": INTEGRITY, "example": None}
    if dist is not None:
        settings["runtime"] = "runtime/"
        (folder / "runtime").mkdir()
        for name in INTEGRITY:
            shutil.copyfile(dist / name, folder / "runtime" / name)
    if example is not None:
        try:
            read_duration(example)
        except InputError as error:
            raise InputError(f"--example {example}: {error}") from error
        settings["example"] = Path(example).name
        (folder / "example").mkdir()
        shutil.copyfile(example, folder / "example" / Path(example).name)
    write_json(folder / "page.json", settings)
    try:
        Model(folder / "model.onnx")
    except InputError:
        raise InputError(
            f"{model.path} has its weights in another file, which a page "
            "cannot load: save them in one file, or choose a smaller model."
        ) from None


def describe(info: "ModelInfo") -> dict[str, Any]:
    """The content of model.json: the metadata, and how recordings and the
    microphone are cut.
    """
    from fftp_tag.tag.live import page_looks

    return {
        **info.to_dict(),
        "pieces": info.pieces._asdict(),
        "windows": info.windows()._asdict(),
        "live": page_looks(info),
    }


def find_runtime(node_modules: str) -> Path:
    """The folder of the two files of an installed onnxruntime-web."""
    package = Path(node_modules, PACKAGE)
    remedy = f"npm install {PACKAGE}@{VERSION}"
    if not (package / "package.json").is_file():
        raise InputError(f"{package} is missing: {remedy}")
    version = read_json(package / "package.json").get("version")
    if version != VERSION:
        raise InputError(
            f"{package} is version {version}, but the page needs {VERSION}: "
            f"{remedy}"
        )
    return package / "dist"
