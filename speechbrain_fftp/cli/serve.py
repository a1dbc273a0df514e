"""``fftp-tag serve``: serves the folder of ``fftp-tag page`` on this machine.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import http.server
import sys
from pathlib import Path

from speechbrain_fftp.cli.options import number_type

DESCRIPTION = """\
Serves a folder that fftp-tag page has written, to browsers on this machine."""
EXAMPLES = """\
  fftp-tag page results/demo/inference page
  fftp-tag serve page --port 8080"""
NEEDS_MODEL = False
HOST = "127.0.0.1"


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument("folder", metavar="FOLDER", help="folder of the page")
    parser.add_argument(
        "--port",
        type=number_type(int, low=1, high=65535),
        default=7860,
        metavar="P",
        help="port of the page (default: 7860)",
    )


def run(args, parser):
    """Serves the page until the process is interrupted."""
    if not Path(args.folder, "index.html").is_file():
        raise FileNotFoundError(
            f"{args.folder} has no index.html: write the page first with "
            f"fftp-tag page MODEL {args.folder}"
        )
    handler = functools.partial(Handler, directory=args.folder)
    try:
        server = http.server.ThreadingHTTPServer((HOST, args.port), handler)
    except OSError as error:
        raise OSError(
            f"port {args.port} cannot be used: {error.strerror}. Choose "
            "another --port."
        ) from None
    with server:
        print(f"Serving on http://{HOST}:{args.port} (Ctrl+C to stop)")
        sys.stdout.flush()
        server.serve_forever()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files with the types of a page; prints only errors."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".onnx": "application/octet-stream",
        ".wasm": "application/wasm",
    }

    def end_headers(self):
        """Lets browsers ask for changed files at each visit."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_request(self, code="-", size="-"):
        """Prints nothing."""
