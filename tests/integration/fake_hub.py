"""A Hugging Face Hub on this machine, with faults, and clients that use it.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import hashlib
import json
import logging
import multiprocessing
import os
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeHub(ThreadingHTTPServer):
    """Serves models to ``huggingface_hub``, whose ``HF_ENDPOINT`` is ``url``.

    ``faults`` may hold the ``status`` of answers about models, or of files as
    ``file_status``, and its ``code``; the ``text`` of answers about models, or
    in them the ``commit``, and ``sizes`` and ``sums`` of files; ``bodies`` of
    files; ``cut``, after how many bytes the next longer file ends and the
    connection with it; ``stall``, the same but the connection stays open;
    ``silent``, whether nothing is answered.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.models, self.faults, self.log = {}, {}, []
        self.closing = threading.Event()

    def publish(self, name, files, *revisions):
        """Adds a commit, to which ``main`` or the revisions then point."""
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        model = self.models.setdefault(name, {})
        for revision in (commit, *(revisions or ["main"])):
            model[revision] = (commit, files)
        return commit

    def requests(self, name):
        """The files of a model asked for so far, each with its Range."""
        found = [x for x in self.log if f"/{name}/resolve/" in x[0]]
        return [(path.split("/")[-1], part) for path, part in found]

    @contextlib.contextmanager
    def serving(self):
        thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            self.shutdown()
            self.server_close()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        hub, path = self.server, self.path.partition("?")[0]
        hub.log.append((path, self.headers.get("Range")))
        if hub.faults.get("silent"):
            hub.closing.wait()
            self.close_connection = True
            return
        path = urllib.parse.unquote(path)
        api = re.fullmatch("/api/models/(.+)/revision/(.+)", path)
        file = re.fullmatch("/(.+)/resolve/(.+?)/(.+)", path)
        if not (api or file):
            return self.answer(404, {})
        name, revision, *rest = (api or file).groups()
        status = hub.faults.get("status" if api else "file_status")
        model = hub.models.get(name)
        if status:
            self.answer(status, {"X-Error-Code": hub.faults.get("code", "")})
        elif model is None:
            self.answer(404, {"X-Error-Code": "RepoNotFound"})
        elif revision not in model:
            self.answer(404, {"X-Error-Code": "RevisionNotFound"})
        elif api:
            text = json.dumps(self.info(name, *model[revision]))
            self.answer(200, {}, hub.faults.get("text", text))
        elif rest[0] not in model[revision][1]:
            self.answer(404, {"X-Error-Code": "EntryNotFound"})
        else:
            self.send_file(rest[0], *model[revision])

    do_HEAD = do_GET

    def info(self, name, commit, files):
        """What the hub tells about a commit."""
        faults, siblings = self.server.faults, []
        for file, content in files.items():
            size = faults.get("sizes", {}).get(file, len(content))
            siblings.append({"rfilename": file, "size": size})
            if file.endswith(".safetensors"):
                digest = hashlib.sha256(content).hexdigest()
                digest = faults.get("sums", {}).get(file, digest)
                lfs = {"size": size, "sha256": digest, "pointerSize": 100}
                siblings[-1]["lfs"] = lfs
        sha = faults.get("commit", commit)
        return {"id": name, "sha": sha, "siblings": siblings}

    def send_file(self, file, commit, files):
        body = self.server.faults.get("bodies", {}).get(file, files[file])
        headers = {"ETag": f'"{hashlib.sha256(files[file]).hexdigest()}"'}
        headers["X-Repo-Commit"] = commit
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if start:
            first, total = int(start[1]), len(body)
            headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
            self.answer(206, headers, body[first:])
        else:
            self.answer(200, headers, body)

    def answer(self, status, headers, body=b""):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        for fault in ("cut", "stall"):
            if len(body) > self.server.faults.get(fault, len(body)):
                body = body[: self.server.faults.pop(fault)]
                self.close_connection = True
                self.wfile.write(body)
                if fault == "stall":
                    self.server.closing.wait()
                return
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)


# Processes start with the package imported but not huggingface_hub, which reads
# the environment when it is imported.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["speechbrain_fftp.pretrained.hub"])


class Client:
    """A process that calls ``find_model`` with a hub, a cache and settings."""

    def __init__(self, hub, home, **environment):
        self.connection, there = FORKS.Pipe()
        environment = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_ETAG_TIMEOUT": "1",
            **environment,
        }
        self.process = FORKS.Process(target=_answer, args=(environment, there))
        self.process.start()
        there.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()

    def find(self, source):
        """The path or the error, and the warnings, of one call."""
        self.connection.send(source)
        return self.result()

    def result(self):
        assert self.connection.poll(60), "find_model hangs"
        return self.connection.recv()


def _answer(environment, connection):
    """Sends the outcomes of ``find_model`` in another environment."""
    for name in list(os.environ):
        if name.startswith("HF_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(environment)
    from speechbrain_fftp.pretrained.hub import find_model

    shown = []
    handler = logging.Handler(logging.WARNING)
    handler.addFilter(logging.Filter("speechbrain_fftp"))
    handler.emit = lambda record: shown.append(record.getMessage())
    logging.root.addHandler(handler)
    while True:
        try:
            source = connection.recv()
        except EOFError:
            return
        try:
            found = find_model(source)
        except (OSError, ValueError) as error:
            found = (type(error), str(error))
        connection.send((found, list(shown)))
        shown.clear()
