"""``fftp-tag serve``: starts the page in the browser.

Authors
 * The speechbrain_fftp authors 2026
"""

import ipaddress
import socket

from speechbrain_fftp.cli.messages import report
from speechbrain_fftp.cli.options import in_range, load_tagger
from speechbrain_fftp.cli.page_security import guard, private_folder

DESCRIPTION = "Tags clips on a page in the browser."
EXAMPLES = "  fftp-tag serve --model results/demo/inference --port 8080"


def add_options(parser):
    """Adds the options of this verb."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address of this machine at which the page is served (default: "
        "127.0.0.1, which other machines cannot reach)",
    )
    parser.add_argument(
        "--port",
        type=in_range(int, 1, 65535),
        default=7860,
        metavar="P",
        help="port of the page (default: 7860)",
    )


def run(args, parser):
    """Serves the page until a signal ends the process."""
    with _listen(args.host, args.port) as listener, private_folder() as folder:
        try:
            import gradio as gr
            import matplotlib  # noqa: F401
            import uvicorn
            from starlette.applications import Starlette
            from starlette.middleware import Middleware
        except ImportError:
            raise ImportError(
                "The page needs Gradio and matplotlib: "
                'pip install -c constraints.txt -e ".[demo]"'
            ) from None
        from speechbrain_fftp.cli.page import CSS, MAX_MEGABYTES, build_page

        page, limit = build_page(load_tagger(args), folder), MAX_MEGABYTES << 20
        # A request is a file and a little more.
        guarded = Middleware(guard, args.host, args.port, limit + 2**16)
        app = gr.mount_gradio_app(
            Starlette(middleware=[guarded]),
            page,
            path="/",
            footer_links=[],
            run_history=False,
            show_error=False,
            max_file_size=limit,
            ssr_mode=False,
            css=CSS,
        )
        name = f"[{args.host}]" if ":" in args.host else args.host
        url = f"http://{name}:{args.port}"
        print(f"Serving on {url} (Ctrl+C to stop)", flush=True)
        config = uvicorn.Config(
            app,
            # At the end, open pages would be reported as errors.
            log_level="error" if args.verbose else "critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run([listener])
    return 0


def _listen(host, port):
    """A socket at an address; warns if other machines can reach it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror.partition(" (")[0]  # Python adds the address
        raise OSError(
            f"{host}, port {port} cannot be used: {reason}. Choose another "
            "--port or --host."
        ) from None
    if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        report(
            f"warning: everyone who can reach {host} can use the page and "
            "upload files to this machine"
        )
    return listener
