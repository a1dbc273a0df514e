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
runs: nothing is uploaded. Any web server can serve it, see fftp-tag serve.

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
# Of the metadata of a model.onnx
NEEDED = ("labels", "sample_rate", "max_samples", "min_samples")
OPTIONAL = ("single_label", "thresholds", "steps")


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
    with output.standard_output():
        print(
            f"wrote {args.folder}: look at it with fftp-tag serve "
            f"{args.folder}, or copy it to any web server"
        )


def write_page(args, folder, dist):
    """Writes the page into an empty folder, with the runtime of ``dist``."""
    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    model = folder / "model.onnx"
    if Path(args.model).suffix == ".onnx":
        metadata = read_metadata(args.model)
        shutil.copyfile(args.model, model)
    else:
        tagger = options.load_tagger(args)

        from speechbrain_fftp.inference.onnx import export_onnx

        export_onnx(tagger, model, report=print)
        metadata = read_metadata(model)
    if list(folder.glob("*.data")):
        raise ValueError(
            f"{args.model} has more than 2 GB of weights, which is too much "
            "for a browser: choose a smaller model."
        )
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


def write_json(path, content):
    """Writes a JSON file."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", "utf-8")


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
        about = folder / "package.json"
        if not about.is_file():
            continue
        found = json.loads(about.read_text("utf-8"))
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


def read_metadata(path):
    """What the page needs to know of a ``model.onnx``, by name.

    Raises
    ------
    ImportError
        If onnxruntime is missing.
    ValueError
        If it is no model of ``fftp-tag export``.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(
            "A page needs the package onnxruntime: "
            'pip install -c constraints.txt -e ".[export]"'
        ) from None
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no {path}.")
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's have no class in common
        raise ValueError(f"{path} is not a model in ONNX: {error}") from None
    texts = session.get_modelmeta().custom_metadata_map
    missing = [name for name in NEEDED if name not in texts]
    if missing:
        raise ValueError(
            f"{path} has no {', '.join(missing)} in its metadata: export "
            "the model again with fftp-tag export --to onnx"
        )
    known = [name for name in (*NEEDED, *OPTIONAL) if name in texts]
    return {name: json.loads(texts[name]) for name in known}
