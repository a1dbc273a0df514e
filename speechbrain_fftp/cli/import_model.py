"""``fftp-tag import``: writes a published model as an inference folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

from speechbrain_fftp.cli import options, output

DESCRIPTION = """\
Writes a published model as an inference folder, which contains only data and
works like that of a model trained here.

SOURCE is one of
  owner/name[@revision]  an AST, a CED or a Dasheng on the Hugging Face hub
  a folder               with config.json, model.safetensors and
                         preprocessor_config.json, as on the hub
  a .pth or .pt file     the authors' file of an AST, an Audio Mamba or a Dasheng,
                         or PretrainedSED's of an ATST-Frame"""
EXAMPLES = """\
  fftp-tag import MIT/ast-finetuned-audioset-10-10-0.4593 models/ast
  fftp-tag import mispeech/ced-tiny models/ced-tiny
  fftp-tag import ATST-F_strong_1.pt models/atst
  fftp-tag clip.wav --model models/ced-tiny"""
NEEDS_MODEL = False


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument("source", metavar="SOURCE", help="the published model")
    parser.add_argument(
        "folder", metavar="FOLDER", help="new folder for the model"
    )


def run(args, parser):
    """Imports the model and prints what it is."""
    if os.path.isfile(args.folder) or output.is_filled(args.folder):
        parser.error(f"{args.folder} is not empty: give a new FOLDER")
    path = options.find_source(args.source)
    if (path / "labels.csv").is_file():
        parser.error(f"{path} is an inference folder already")

    from speechbrain_fftp.inference.folder import write_folder
    from speechbrain_fftp.inference.published import load_model

    modules, hparams = load_model(path)
    write_folder(args.folder, modules, hparams)
    encoder = modules["embedding_model"]
    size = sum(p.numel() for m in modules.values() for p in m.parameters())
    print(
        f"wrote {args.folder}: {type(encoder).__name__}, "
        f"{size / 1e6:.1f} million parameters, "
        f"{len(hparams['label_encoder'])} classes"
    )
