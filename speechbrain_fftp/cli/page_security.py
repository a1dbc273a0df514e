"""What protects the page: whose requests it takes, and where files lie.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import ipaddress
import os
import signal
import socket
import tempfile
from urllib.parse import urlsplit

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Guard:
    """Middleware that refuses what other sites send, and large bodies.

    A browser lets every site send requests to this machine. Their ``Origin``
    names that site, and their ``Host`` too if its name leads here, which
    starlette's TrustedHostMiddleware would see only in part: it reads neither
    ports nor ``Origin``. Bodies are counted while they arrive, since not every
    request tells its length. ``host`` and ``port`` are those of the server.
    """

    def __init__(self, app, host, port, max_bytes):
        self.app, self.max_bytes = app, max_bytes
        self.port = port
        self.names = {"127.0.0.1", "localhost", "::1", host.lower()}
        self.any_address = host in ("0.0.0.0", "::")
        if self.any_address:
            self.names.add(socket.gethostname().lower())

    async def __call__(self, scope, receive, send):
        """Passes a request on, or answers 403 or 413 with one line."""
        from starlette.datastructures import Headers
        from starlette.formparsers import MultiPartException
        from starlette.responses import PlainTextResponse

        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        too_large = (
            f"maximum allowed size of {self.max_bytes >> 20} MB exceeded"
        )
        answer = None
        if not self.is_own(host) or origin not in (None, f"http://{host}"):
            answer = "This address or site may not use the page.", 403
        elif int(headers.get("content-length", 0)) > self.max_bytes:
            answer = too_large, 413
        if answer:
            await PlainTextResponse(*answer)(scope, receive, send)
            return
        size, more = 0, False

        async def counted():
            """Receives a part of the body.

            Gradio deletes an upload on no other exception than this one.
            """
            nonlocal size, more
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_bytes:
                raise MultiPartException(too_large)
            if more and message["type"] == "http.disconnect":
                raise MultiPartException("the upload was interrupted")
            more = message.get("more_body", False)
            return message

        await self.app(scope, counted, send)

    def is_own(self, host):
        """Whether a ``Host`` header is an address of the page.

        On a server for all addresses of the machine, any IP address is: only
        names can be made to lead here.
        """
        try:
            site = urlsplit(f"//{host}")
            if (site.port or 80) != self.port:
                return False
            if site.hostname in self.names:
                return True
            return self.any_address and bool(
                ipaddress.ip_address(site.hostname)
            )
        except ValueError:
            return False


@contextlib.contextmanager
def private_folder():
    """A folder for all temporary files of this process, and for no other user.

    Gradio keeps uploads in it, ffmpeg what it decodes. It is removed at the
    end, also when a signal ends the process.
    """

    def stop(number, frame):
        """Ends the process by an exception."""
        raise SystemExit(128 + number)

    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in handlers.items():
        if handler is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, stop)
    own = os.environ.pop("GRADIO_TEMP_DIR", None)  # else Gradio would use it
    before = tempfile.tempdir
    try:
        with tempfile.TemporaryDirectory(
            prefix="fftp-tag-", ignore_cleanup_errors=True
        ) as folder:
            tempfile.tempdir = folder
            yield folder
    finally:
        tempfile.tempdir = before
        if own is not None:
            os.environ["GRADIO_TEMP_DIR"] = own
        for number, handler in handlers.items():
            signal.signal(number, handler)
