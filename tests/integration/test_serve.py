"""Tests of the web server of the page, with requests as no browser sends them.

Authors
 * The speechbrain_fftp authors 2026
"""

import http.client
import signal
import socket
import sys
import time
from types import SimpleNamespace

import pytest

from speechbrain_fftp.cli.main import main

BOUNDARY = "cut-here"
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; '
HEAD = (HEAD + 'filename="a.wav"\r\n\r\n').encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
UPLOAD = "/gradio_api/upload"
MEGABYTE = bytes(2**20)


@pytest.fixture(scope="module")
def server(serve_page):
    with serve_page() as server:
        yield server


def send(server, path="/", body=None, **headers):
    """Sends a GET request, or a POST with a body; returns status and text."""
    if body is not None:
        headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, 60)
    try:
        connection.request(
            "GET" if body is None else "POST", path, body, headers
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def stored(folder):
    """Bytes of all files in a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def test_requests_by_host_and_origin(server):
    own = f"127.0.0.1:{server.port}"
    for headers, status in (
        ({}, 200),
        ({"Host": f"localhost:{server.port}"}, 200),
        ({"Host": f"[::1]:{server.port}"}, 200),
        ({"Origin": f"http://{own}"}, 200),
        ({"Host": f"attacker.example:{server.port}"}, 403),
        ({"Host": "127.0.0.1:1"}, 403),
        ({"Host": f"10.0.0.1:{server.port}"}, 403),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": f"https://{own}"}, 403),
        ({"Origin": f"http://localhost:{server.port}"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": f"a.example:{server.port}", "Upgrade": "websocket"}, 403),
    ):
        before = stored(server.folder)
        assert send(server, **headers)[0] == status, headers
        found, text = send(server, UPLOAD, HEAD + b"x" + TAIL, **headers)
        assert found == status, headers
        if status == 403:
            assert text and "\n" not in text
            assert stored(server.folder) == before
        else:
            assert "a.wav" in text


def test_uploads_that_are_too_large_leave_nothing(server):
    before, most = stored(server.folder), 0

    def body(parts):
        """Files of 20 MB each, sent without the length of the whole."""
        nonlocal most
        for _ in range(parts):
            yield HEAD
            for _ in range(20):
                yield MEGABYTE
                most = max(most, stored(server.folder) - before)
            yield b"\r\n"
        yield TAIL

    status, text = send(server, UPLOAD, body(4))
    assert status == 413 and "50 MB" in text
    assert most < 51 * 2**20 and stored(server.folder) == before
    # With a length, before anything has been sent
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        start = f"POST {UPLOAD} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        length = f"Content-Length: {51 * 2**20}\r\n\r\n"
        client.sendall((start + length).encode())
        assert b" 413 " in client.recv(100)
    assert "Traceback" not in server.log()


def test_an_upload_that_is_given_up_leaves_nothing(server):
    before = stored(server.folder)
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        client.sendall(
            f"POST {UPLOAD} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
            "Content-Length: 9000000\r\n\r\n".encode()
        )
        client.sendall(HEAD + 5 * MEGABYTE)
        wait_for(lambda: stored(server.folder) > before)
    wait_for(lambda: stored(server.folder) == before)
    assert "Traceback" not in server.log()


def wait_for(condition):
    """Waits until a condition holds."""
    end = time.time() + 30
    while not condition() and time.time() < end:
        time.sleep(0.05)
    assert condition()


def test_files_are_private_and_removed_at_the_end(serve_page):
    with serve_page() as server:
        assert send(server, UPLOAD, HEAD + b"x" + TAIL)[0] == 200
        (folder,) = server.folder.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(folder.rglob("a.wav")) and list(folder.rglob("Siren*"))
        # A browser keeps this connection open.
        client = http.client.HTTPConnection("127.0.0.1", server.port, 60)
        client.request("GET", "/gradio_api/heartbeat/1")
        assert client.getresponse().status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 128 + signal.SIGTERM
        client.close()
        assert not list(server.folder.iterdir())
        (line,) = server.log().splitlines()
        assert line.startswith(f"Serving on http://127.0.0.1:{server.port} ")


def test_errors_at_the_start_leave_nothing(
    server, exported, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    free = ["--port", "0"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = ["--port", str(probe.getsockname()[1])]
    for options, message in (
        (["--port", str(server.port)], "Address already in use. Choose"),
        ([*free, "--host", "no.invalid"], "no.invalid, port "),
        ([*free, "--model", str(tmp_path)], "`make demo` makes one in"),
    ):
        assert main(["serve", "--model", str(exported[1]), *options]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["serve", "--model", str(exported[1]), *free]) == 1
    text = 'pip install -c constraints.txt -e ".[demo]"'
    assert text in capsys.readouterr().err
    assert not list(folder.iterdir())
    for port in ("0", "70000"):
        with pytest.raises(SystemExit, match="2"):
            main(["serve", "--port", port, "--model", "m"])
        assert port in capsys.readouterr().err


def test_other_machines_are_let_in_with_a_warning(monkeypatch, capsys):
    from speechbrain_fftp.cli import serve

    names = iter([("0.0.0.0", 80), ("127.0.0.1", 80)])
    listener = SimpleNamespace(getsockname=lambda: next(names))
    monkeypatch.setattr(socket, "create_server", lambda *a, **k: listener)
    serve.open_socket("0.0.0.0", 80)
    assert "everyone who can reach 0.0.0.0" in capsys.readouterr().err
    serve.open_socket("127.0.0.1", 80)
    assert not capsys.readouterr().err
