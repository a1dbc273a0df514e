"""``fftp-tag page``: writes a page that tags sounds in the browser.

The page is a folder of static files, which any web server serves: those of
``static/``, the model as ``model.onnx``, its metadata as ``model.json``, and
``runtime.json``, which says where the browser finds ONNX Runtime.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import shutil
from pathlib import Path

from speechbrain_fftp.cli import options, output

DESCRIPTION = """\
Writes a folder with a page that tags sounds in the browser, where the model
runs: nothing is uploaded. Any web server can serve it.

MODEL is a model.onnx of fftp-tag export, an inference folder, or any other
model that --model takes in the other commands. The browser loads ONNX Runtime
from a public host, or, with --runtime, from the folder."""
EXAMPLES = """\
  fftp-tag page results/demo/inference page
  npm install --no-package-lock onnxruntime-web@1.30.0
  fftp-tag page model.onnx page --runtime node_modules"""
NEEDS_MODEL = False

STATIC = Path(__file__).with_name("static")
# ONNX Runtime for browsers: the version in package.json, and the hashes of its
# two files, which the browser checks. One thread, so no headers are needed.
PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
INTEGRITY = {
    "ort.wasm.bundle.min.mjs": "sha384-PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
    "ort-wasm-simd-threaded.wasm": "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
}
HOST = f"https://cdn.jsdelivr.net/npm/{PACKAGE}@{VERSION}/dist/"


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument("folder", metavar="FOLDER", help="new folder")
    parser.add_argument(
        "--runtime",
        metavar="FOLDER",
        help=f"copy ONNX Runtime from this installation by npm of {PACKAGE} "
        f"{VERSION}: its folder, or the node_modules that has it",
    )
    options.add_model_options(parser)


def run(args, parser):
    """Writes the folder and prints what to do with it."""
    from speechbrain_fftp.dataio.files import atomic_folder

    if Path(args.folder).is_file() or output.is_filled(args.folder):
        parser.error(f"{args.folder} is not empty: give a new FOLDER")
    dist = None if args.runtime is None else find_runtime(args.runtime)
    with atomic_folder(args.folder) as folder:
        write_page(args, Path(folder), dist)
    print(
        f"wrote {args.folder}: look at it with python -m http.server "
        f"--bind 127.0.0.1 --directory {args.folder}, or copy it to any web "
        "server"
    )


def write_page(args, folder, dist):
    """Writes the page into an empty folder, with the runtime of ``dist``."""
    from speechbrain_fftp.dataio.files import write_json
    from speechbrain_fftp.inference.onnx_engine import OnnxEngine

    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    model = folder / "model.onnx"
    tagger = options.load_tagger(args)
    if args.model.endswith(".onnx"):
        engine = tagger.engine
        weights = Path(f"{args.model}.data")
        shutil.copyfile(args.model, model)
    else:
        from speechbrain_fftp.inference.onnx import export_onnx

        export_onnx(tagger, model)
        engine = OnnxEngine(model)
        weights = Path(f"{model}.data")
    if weights.exists():
        raise ValueError(
            f"{args.model} has more than 2 GB of weights, which is too much "
            "for a browser: choose a smaller model."
        )
    texts = engine.session.get_modelmeta().custom_metadata_map
    metadata = {key: json.loads(text) for key, text in texts.items()}
    write_json(folder / "model.json", metadata)
    if dist is None:
        source = HOST
    else:
        source = "runtime/"
        (folder / source).mkdir()
        for name in INTEGRITY:
            shutil.copyfile(dist / name, folder / source / name)
    runtime = {"folder": source, "integrity": INTEGRITY}
    write_json(folder / "runtime.json", runtime)


def find_runtime(path):
    """The folder of the two files in an installation of onnxruntime-web.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it has another version.
    """
    for folder in (Path(path), Path(path, PACKAGE)):
        package = folder / "package.json"
        if not package.is_file():
            continue
        found = json.loads(package.read_text("utf-8"))
        if found.get("name") != PACKAGE:
            continue
        if found["version"] != VERSION:
            raise ValueError(
                f"{folder} is {PACKAGE} {found['version']}, but the page needs "
                f"{VERSION}: npm install {PACKAGE}@{VERSION}"
            )
        return folder / "dist"
    raise FileNotFoundError(
        f"{path} has no {PACKAGE}: npm install {PACKAGE}@{VERSION} and give "
        "the folder node_modules."
    )
