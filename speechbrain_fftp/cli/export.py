"""``fftp-tag export``: writes a model in another format.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.cli.options import load_tagger
from speechbrain_fftp.cli.output import check_target

DESCRIPTION = """\
Writes a model as an ONNX file, which runs without PyTorch, or an AST as a
folder for Hugging Face's transformers."""
EXAMPLES = """\
  fftp-tag export --model results/demo/inference --to onnx --output model.onnx
  fftp-tag export --model results/demo/inference --to onnx --int8 \\
      --output small.onnx
  fftp-tag export --model my_ast/inference --to huggingface --output hf"""


def add_options(parser):
    """Adds the options of this verb."""
    add, formats = parser.add_argument, ["onnx", "huggingface"]
    add("--to", choices=formats, required=True, help="format to write")
    text = "ONNX file to write, or new folder for huggingface"
    add("--output", required=True, metavar="PATH", help=text)
    add("--int8", action="store_true", help="ONNX with 8-bit weights")


def run(args, parser):
    """Exports the model and prints what was written; returns the exit code."""
    if args.to == "onnx":
        check_target(args.output)
    elif args.int8:
        parser.error("--int8 needs --to onnx")
    tagger = load_tagger(args)

    if args.to == "onnx":
        from speechbrain_fftp.inference.onnx import export_onnx

        export_onnx(tagger, args.output, int8=args.int8, report=print)
    else:
        from speechbrain_fftp.inference.hf_export import export_hugging_face

        export_hugging_face(tagger, args.output, report=print)
    return 0
