"""``fftp-tag serve``: starts the page in the browser.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.cli.options import in_range

DESCRIPTION = (
    "Tags clips on a page in the browser, served to this machine only."
)
EXAMPLES = "  fftp-tag serve --model results/demo/inference --port 8080"


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument(
        "--port",
        type=in_range(int, 1, 65535),
        default=7860,
        metavar="P",
        help="port of the page (default: 7860)",
    )


def run(args, parser):
    """Serves the page until interrupted; returns the exit code."""
    from speechbrain_fftp.cli.page import serve

    serve(args.model, port=args.port)
    return 0
