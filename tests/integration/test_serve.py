"""Tests of the web server of the page, as a child process.

Authors
 * The speechbrain_fftp authors 2026
"""

import http.client
import signal
import socket

import pytest

from speechbrain_fftp.cli.main import main

TYPES = {
    "index.html": "text/html",
    "page.js": "text/javascript",
    "runtime.mjs": "text/javascript",
    "runtime.wasm": "application/wasm",
    "model.onnx": "application/octet-stream",
    "model.json": "application/json",
    "style.css": "text/css",
}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "page"
    folder.mkdir()
    for name in TYPES:
        (folder / name).write_text(f"content of {name}")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def get(port, path):
    """Status, media type and content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        media_type = answer.headers.get_content_type()
        return answer.status, media_type, answer.read().decode()
    finally:
        connection.close()


def test_files_have_their_types(serve_page, folder):
    with serve_page(folder) as server:
        for name, media_type in TYPES.items():
            found = get(server.port, f"/{name}")
            assert found == (200, media_type, f"content of {name}")
        assert get(server.port, "/")[2] == "content of index.html"
        assert get(server.port, "/missing.html")[0] == 404
        assert get(server.port, "/../secret.txt")[0] == 404
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 130
        (line,) = [x for x in server.log().splitlines() if "404" not in x]
        assert f"http://127.0.0.1:{server.port} " in line


def test_other_machines_are_not_let_in(serve_page, folder):
    with serve_page(folder) as server:
        with socket.socket() as other:
            with pytest.raises(OSError):
                # All of 127.0.0.0/8 leads to this machine
                other.connect(("127.0.0.2", server.port))


def test_errors_at_the_start(folder, tmp_path, capsys):
    assert main(["serve", str(tmp_path)]) == 1
    assert f"{tmp_path} has no index.html" in capsys.readouterr().err
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert main(["serve", str(folder), "--port", port]) == 1
    assert f"port {port} cannot be used" in capsys.readouterr().err
    for port in ("0", "70000"):
        with pytest.raises(SystemExit, match="2"):
            main(["serve", str(folder), "--port", port])
        assert port in capsys.readouterr().err
