"""``fftp-tag page``: writes a page that tags sounds in the browser.

The model runs in the browser: nothing is uploaded. FOLDER gets static files,
which any web server serves. MODEL is what --model takes in the other commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import fftp_tag
from speechbrain_fftp.dataio.errors import InputError

if TYPE_CHECKING:
    from fftp_tag.model import Model

HELP = "writes a page that tags sounds in the browser"
EXAMPLES = """\
  fftp-tag page results/demo page
  npm install --no-package-lock onnxruntime-web@1.30.0
  fftp-tag page model.onnx page --runtime node_modules"""

STATIC = Path(fftp_tag.__file__).parent / "page"
# ONNX Runtime for browsers, which runtime.json describes to the page: the
# version in package.json, and the hashes of its two files, which the browser
# checks. One thread, so no headers are needed.
PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
INTEGRITY = {
    "ort.wasm.bundle.min.mjs": "sha384-PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
    "ort-wasm-simd-threaded.wasm": "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
}
HOST = f"https://cdn.jsdelivr.net/npm/{PACKAGE}@{VERSION}/dist/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this verb."""
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument("folder", metavar="FOLDER", help="new folder")
    parser.add_argument(
        "--runtime",
        metavar="NODE_MODULES",
        help=f"copy ONNX Runtime from this folder, in which npm has installed "
        f"{PACKAGE} {VERSION}; by default, the browser loads it from a public "
        "host",
    )


def run(args: argparse.Namespace) -> None:
    """Writes the folder and prints what to do with it."""
    from fftp_tag.model import Model
    from fftp_tag.sources import find_model
    from speechbrain_fftp.dataio.files import atomic_folder

    target = Path(args.folder)
    if target.is_file() or target.is_dir() and any(target.iterdir()):
        raise InputError(f"{target} is not empty: give a new FOLDER.")
    dist = None if args.runtime is None else find_runtime(args.runtime)
    model = Model(find_model(args.model))
    if not model.labels:
        raise InputError(
            f"{model.path} has no classes: learn some with fftp-tag learn."
        )
    if Path(f"{model.path}.data").exists():
        raise InputError(
            f"{model.path} has more than 2 GB of weights, which is too much "
            "for a browser: choose a smaller model."
        )
    with atomic_folder(target) as folder:
        write_page(Path(folder), model, dist)
    print(
        f"wrote {target}: look at it with python -m http.server --bind "
        f"127.0.0.1 --directory {target}, or copy it to any web server"
    )


def write_page(folder: Path, model: "Model", dist: Optional[Path]) -> None:
    """Writes the page into an empty folder, with the runtime of ``dist``."""
    from speechbrain_fftp.dataio.files import write_json

    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    shutil.copyfile(model.path, folder / "model.onnx")
    write_json(folder / "model.json", model.metadata)
    runtime = {"folder": HOST, "integrity": INTEGRITY}
    if dist is not None:
        runtime["folder"] = "runtime/"
        (folder / "runtime").mkdir()
        for name in INTEGRITY:
            shutil.copyfile(dist / name, folder / "runtime" / name)
    write_json(folder / "runtime.json", runtime)


def find_runtime(node_modules: str) -> Path:
    """The folder of the two files in an installation of onnxruntime-web."""
    package = Path(node_modules, PACKAGE)
    remedy = f"npm install {PACKAGE}@{VERSION}"
    if not (package / "package.json").is_file():
        raise FileNotFoundError(f"{package} is missing: {remedy}")
    about = json.loads((package / "package.json").read_text("utf-8"))
    if about["version"] != VERSION:
        raise InputError(
            f"{package} is version {about['version']}, but the page needs "
            f"{VERSION}: {remedy}"
        )
    return package / "dist"
