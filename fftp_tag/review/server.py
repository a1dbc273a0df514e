"""The web server of a review, for browsers on this computer alone.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
import sys
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
    "X-Content-Type-Options": "nosniff",
}
JSON = "application/json"
MAX_REQUEST_BYTES = 10_000


class ReviewServer(ThreadingHTTPServer):
    """Serves a review at a free port until ``done`` or ``shutdown``."""

    daemon_threads = True

    def __init__(self, session: Session):
        super().__init__((HOST, 0), Handler)
        self.session = session

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
        return f"http://{self.hosts[0]}/"


class Handler(BaseHTTPRequestHandler):
    """Answers a request."""

    server: ReviewServer

    def log_message(self, *_: Any) -> None:
        """Prints nothing."""

    def do_GET(self) -> None:
        """Sends a file of the page, the state, or a clip."""
        if not self.is_own():
            return
        clip = re.fullmatch(r"/clips/(\d{1,9})\.wav", self.path)
        if self.path in FILES:
            path, kind = FILES[self.path]
            self.reply(200, path.read_bytes(), kind)
        elif self.path == "/state":
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
        if not self.is_own():
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
        if self.path not in actions:
            self.reply_json(404, {"error": "there is no such page"})
            return
        try:
            size = min(
                int(self.headers.get("Content-Length", 0)), MAX_REQUEST_BYTES
            )
            actions[self.path](**json.loads(self.rfile.read(size)))
        except (OSError, TypeError, ValueError) as error:
            self.reply_json(400, {"error": one_line(error)})
            return
        self.reply_json(200, self.server.session.state())
        if self.path == "/done":
            self.server.shutdown()

    def is_own(self) -> bool:
        """Whether a request is from the page itself; refuses others."""
        hosts = self.server.hosts
        origins = [None, *(f"http://{host}" for host in hosts)]
        is_own = (
            self.headers.get("Host") in hosts
            and self.headers.get("Origin") in origins
        )
        if not is_own:
            self.reply_json(403, {"error": "a request of another page"})
        return is_own

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
