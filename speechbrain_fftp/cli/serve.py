"""``fftp-tag serve``: starts the page in the browser, and protects it.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import ipaddress
import os
import signal
import socket
import sys
import tempfile
from urllib.parse import urlsplit

from speechbrain_fftp.cli.options import load_tagger, number_type
from speechbrain_fftp.cli.output import report

DESCRIPTION = "Tags clips on a page in the browser."
EXAMPLES = "  fftp-tag serve --model results/demo/inference --port 8080"
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


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
        type=number_type(int, low=1, high=65535),
        default=7860,
        metavar="P",
        help="port of the page (default: 7860)",
    )


def run(args, parser):
    """Serves the page until a signal ends the process."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(open_socket(args.host, args.port))
        folder = stack.enter_context(private_folder())
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

        page = build_page(load_tagger(args), folder)
        max_bytes = MAX_MEGABYTES << 20
        # A request is a file and a little more
        guarded = Middleware(guard, args.host, args.port, max_bytes + 2**16)
        app = gr.mount_gradio_app(
            Starlette(middleware=[guarded]),
            page,
            path="/",
            css=CSS,
            max_file_size=max_bytes,
            footer_links=[],
            run_history=False,
            show_error=False,
            ssr_mode=False,
        )
        host = f"[{args.host}]" if ":" in args.host else args.host
        print(f"Serving on http://{host}:{args.port} (Ctrl+C to stop)")
        sys.stdout.flush()
        config = uvicorn.Config(
            app,
            # At the end, open pages would be reported as errors
            log_level="error" if args.verbose else "critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run([listener])


def open_socket(host, port):
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


def guard(app, host, port, max_bytes):
    """Wraps an ASGI app, to refuse requests of other sites and large bodies.

    A browser lets every site send requests to this machine. Their ``Origin``
    names that site, and so does ``Host`` if its name leads here. (Starlette's
    TrustedHostMiddleware reads neither ports nor ``Origin``.) Bodies are
    counted while they arrive, since not every request tells its length.
    """
    from starlette.datastructures import Headers
    from starlette.formparsers import MultiPartException
    from starlette.responses import PlainTextResponse

    too_large = f"maximum allowed size of {max_bytes >> 20} MB exceeded"

    async def guarded(scope, receive, send):
        """Passes a request on, or answers 403 or 413 with one line."""
        if scope["type"] == "lifespan":
            return await app(scope, receive, send)
        headers = Headers(scope=scope)
        site = headers.get("host", "")
        origin = headers.get("origin")
        size = 0
        is_open = False  # whether a part of the body is missing

        async def counted():
            """Receives a part of the body."""
            nonlocal size, is_open
            message = await receive()
            size += len(message.get("body", b""))
            # At this exception, Gradio deletes what it has of the upload.
            if size > max_bytes:
                raise MultiPartException(too_large)
            if is_open and message["type"] == "http.disconnect":
                raise MultiPartException("the upload was interrupted")
            is_open = message.get("more_body", False)
            return message

        is_same_site = origin in (None, f"http://{site}")
        if not is_same_site or not is_own(site, host, port):
            refused = PlainTextResponse(
                "This address or site may not use the page.", 403
            )
            await refused(scope, receive, send)
        elif int(headers.get("content-length", 0)) > max_bytes:
            await PlainTextResponse(too_large, 413)(scope, receive, send)
        else:
            await app(scope, counted, send)

    return guarded


def is_own(site, host, port):
    """Whether a ``Host`` header is that of a server at this host and port.

    On a server for all addresses of the machine, any IP address is: only names
    can be made to lead here.
    """
    names = {"127.0.0.1", "localhost", "::1", host.lower()}
    with contextlib.suppress(ValueError):
        site = urlsplit(f"//{site}")
        if (site.port or 80) != port:
            return False
        if site.hostname in names:
            return True
        if host in ("0.0.0.0", "::"):
            if site.hostname == socket.gethostname().lower():
                return True
            return bool(ipaddress.ip_address(site.hostname))
    return False


@contextlib.contextmanager
def private_folder():
    """A folder for all temporary files of this process, and for no other user.

    Gradio keeps uploads in it, ffmpeg what it decodes. It is removed at the
    end, also when a signal ends the process.
    """

    def stop(number, frame):
        raise SystemExit(128 + number)

    with contextlib.ExitStack() as stack:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as of nohup
                before = signal.signal(number, stop)
                stack.callback(signal.signal, number, before)
        os.environ.pop("GRADIO_TEMP_DIR", None)  # Gradio would prefer it
        stack.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
        tempfile.tempdir = stack.enter_context(
            tempfile.TemporaryDirectory(
                prefix="fftp-tag-", ignore_cleanup_errors=True
            )
        )
        yield tempfile.tempdir
