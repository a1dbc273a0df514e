"""The web server of a review, for whoever has its address, on this computer.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
import secrets
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fftp_tag.errors import OF_INPUT, one_line
from fftp_tag.review.session import Session

HOST = "127.0.0.1"
FOLDER = Path(__file__).parents[1]
# The files of the page; it shares some with that of fftp-tag page
FILES = {
    "/": (FOLDER / "review" / "review.html", "text/html; charset=utf-8"),
    "/review.js": (FOLDER / "review" / "review.js", "text/javascript"),
    "/review.css": (FOLDER / "review" / "review.css", "text/css"),
    "/style.css": (FOLDER / "page" / "style.css", "text/css"),
    "/draw.js": (FOLDER / "page" / "draw.js", "text/javascript"),
    "/elements.js": (FOLDER / "page" / "elements.js", "text/javascript"),
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self'; connect-src 'self'; media-src blob:; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
JSON = "application/json"
MAX_REQUEST_BYTES = 10_000
MAX_CONNECTIONS = 32
MAX_SECONDS = 5.0  # that a connection may be idle


class ReviewServer(ThreadingHTTPServer):
    """Serves a review at a free port until ``done`` or ``shutdown``.

    All paths begin with a token, as other accounts of the computer reach the port.
    """

    daemon_threads = True

    def __init__(self, session: Session):
        super().__init__((HOST, 0), Handler)
        self.session = session
        self.token = secrets.token_urlsafe(16)
        self.free = threading.Semaphore(MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts a thread, unless there are too many."""
        if self.free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers a request in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, *arguments: Any) -> None:
        """Reports an error, but not that a browser has gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*arguments)

    @property
    def hosts(self) -> list[str]:
        """Names of this server. Others are of pages of other hosts, whose
        name has been pointed at this computer.
        """
        return [f"{name}:{self.server_port}" for name in (HOST, "localhost")]

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{self.hosts[0]}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """Answers a request."""

    server: ReviewServer
    timeout = MAX_SECONDS

    def log_message(self, *_: Any) -> None:
        """Prints nothing."""

    def do_GET(self) -> None:
        """Sends a file of the page, the state, or a clip."""
        path = self.own_path()
        if path is None:
            return
        clip = re.fullmatch(r"/clips/(\d{1,9})\.wav", path)
        if path in FILES:
            file, kind = FILES[path]
            self.reply(200, file.read_bytes(), kind)
        elif path == "/state":
            self.reply_json(200, self.server.session.state())
        elif clip is not None:
            try:
                content = self.server.session.clip(int(clip[1]))
            except OF_INPUT as error:
                self.reply_json(400, {"error": one_line(error)})
                return
            self.reply(200, content, "audio/wav")
        else:
            self.reply_json(404, {"error": "there is no such page"})

    def do_POST(self) -> None:
        """Does what is asked, and sends the new state."""
        path = self.own_path()
        if path is None:
            return
        # Pages of other hosts cannot send this type unasked
        if self.headers.get_content_type() != JSON:
            self.reply_json(415, {"error": f"the content must be {JSON}"})
            return
        actions: dict[str, Callable[..., None]] = {
            "/answer": self.server.session.answer,
            "/choose": self.server.session.choose,
            "/undo": self.server.session.undo,
            "/done": lambda: None,
        }
        if path not in actions:
            self.reply_json(404, {"error": "there is no such page"})
            return
        size = self.headers.get("Content-Length", "")
        if not (size.isascii() and size.isdigit()):
            self.reply_json(411, {"error": "the content has no length"})
            return
        if len(size) > 9 or int(size) > MAX_REQUEST_BYTES:
            self.reply_json(413, {"error": "the content is too long"})
            return
        try:
            actions[path](**json.loads(self.rfile.read(int(size))))
        except (OSError, RecursionError, TypeError, ValueError) as error:
            self.reply_json(400, {"error": one_line(error)})
            return
        self.reply_json(200, self.server.session.state())
        if path == "/done":
            self.server.shutdown()

    def own_path(self) -> str | None:
        """The path after the token; refuses requests that are not from the page."""
        hosts = self.server.hosts
        token, _, path = self.path[1:].partition("/")
        is_own = (
            secrets.compare_digest(token.encode(), self.server.token.encode())
            and self.headers.get("Host") in hosts
            and self.headers.get("Origin")
            in [None, *(f"http://{host}" for host in hosts)]
        )
        if is_own:
            return f"/{path}"
        self.reply_json(403, {"error": "a request of another page"})
        return None

    def reply_json(self, code: int, content: dict[str, Any]) -> None:
        """Sends a JSON object."""
        self.reply(code, json.dumps(content).encode(), JSON)

    def reply(self, code: int, content: bytes, kind: str) -> None:
        """Sends some content."""
        self.send_response(code)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
