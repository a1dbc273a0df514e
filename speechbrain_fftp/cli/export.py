"""``fftp-tag export``: writes a model in another format.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.cli.options import load_tagger
from speechbrain_fftp.cli.output import check_target

DESCRIPTION = """\
Writes a model as an ONNX file, which runs without PyTorch."""
EXAMPLES = """\
  fftp-tag export --model results/demo/inference --to onnx --output model.onnx
  fftp-tag export --model results/demo/inference --to onnx --int8 \\
      --output small.onnx"""


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument(
        "--to", choices=["onnx"], required=True, help="format to write"
    )
    parser.add_argument(
        "--output", required=True, metavar="PATH", help="ONNX file to write"
    )
    parser.add_argument("--int8", action="store_true", help="8-bit weights")


def run(args, parser):
    """Exports the model and prints what was written."""
    check_target(args.output)
    tagger = load_tagger(args)

    from speechbrain_fftp.inference.onnx import export_onnx

    export_onnx(tagger, args.output, int8=args.int8, report=print)
