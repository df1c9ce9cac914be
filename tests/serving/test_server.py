"""The server answers what it should, refuses what it should, is ended by nothing, and leaves nothing behind."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fuzz import texts
from symbackprop.cli import run
from symbackprop.models import builtin_names
from symbackprop.serving.outputs import OUTPUTS, answer
from symbackprop.serving.server import LARGEST, Server

SMALL = "dim d = 3\nbatch n = 2\ninput x[d]\nparam w[d]\nL = 1/2 (w^T x)^2\nminimize L\n"


@contextmanager
def serving(**options: Any) -> Iterator[Server]:
    server = Server(0, SMALL, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


Answer = tuple[int, dict[str, str], bytes]


def ask(server: Server, method: str, path: str, body: str | bytes | None = None, **headers: str | None) -> Answer:
    """One request; a header that is None is not sent."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    sent = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    wanted: dict[str, str | None] = {"Host": f"127.0.0.1:{server.server_port}", "Content-Type": "text/plain; charset=utf-8"}
    wanted |= {"Content-Length": str(len(sent))} if sent is not None else {}
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {**wanted, **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(sent)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), content


def page(server: Server, text: str) -> dict[str, Any]:
    status, _, body = ask(server, "POST", "/page", text)
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found


# ---------------------------------------------------------------- answers


def test_the_page_and_its_files(server: Server) -> None:
    status, headers, body = ask(server, "GET", "/")
    assert status == 200 and b"<textarea" in body and all(name.encode() in body for name in builtin_names())
    assert "default-src 'none'" in headers["Content-Security-Policy"] and "unsafe" not in headers["Content-Security-Policy"]
    for path in ("/live.js", "/live.css"):
        status, headers, body = ask(server, "GET", path)
        assert status == 200 and len(body) > 500 and headers["X-Content-Type-Options"] == "nosniff"
    status, headers, body = ask(server, "HEAD", "/")
    assert status == 200 and body == b"" and int(headers["Content-Length"]) > 1000


def test_an_edit_is_answered_with_its_page_or_its_error(server: Server) -> None:
    found = page(server, SMALL)
    assert found["content"].startswith("<!DOCTYPE html>") and "∂L/∂w" in found["content"] and found["warnings"] == []
    error = page(server, SMALL.replace("(w^T x)", "(w^T u)"))["error"]
    assert (error["line"], error["column"], error["length"]) == (5, 14, 1)
    assert "u is not defined" in error["message"] and error["hint"]
    assert page(server, SMALL) == found


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_output_is_a_file(server: Server, name: str) -> None:
    status, headers, body = ask(server, "POST", f"/{name}", SMALL)
    assert status == 200
    assert headers["Content-Disposition"] == f'attachment; filename="{OUTPUTS[name].file}"'
    assert headers["Content-Type"].startswith(OUTPUTS[name].media)
    content = answer(name, SMALL)["content"]
    assert body == (content.encode() if isinstance(content, str) else content) and len(body) > 50
    assert ask(server, "POST", f"/{name}", "dim d = 3\nnonsense")[0] == 422


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/etc/passwd", None, {}, 404),
        ("GET", "/../live.js", None, {}, 404),
        ("POST", "/poem", SMALL, {}, 404),
        ("PUT", "/page", SMALL, {}, 501),
        ("GET", "/", None, {"Host": "evil.example"}, 403),
        ("GET", "/", None, {"Host": None}, 403),
        ("POST", "/page", SMALL, {"Origin": "http://evil.example"}, 403),
        ("POST", "/page", SMALL, {"Origin": "null"}, 403),
        ("POST", "/page", SMALL, {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ("POST", "/page", SMALL, {"Content_Type": None}, 415),
        ("POST", "/page", b"\xff\xfe", {}, 400),
        ("POST", "/page", None, {"Content_Length": str(LARGEST + 1)}, 413),
        ("POST", "/page", None, {"Content_Length": "9" * 40}, 413),
        ("POST", "/page", None, {"Content_Length": "-1"}, 411),
        ("POST", "/page", None, {}, 411),
    ],
)
def test_what_is_refused(
    server: Server, method: str, path: str, body: str | bytes | None, headers: dict[str, str | None], status: int
) -> None:
    assert ask(server, method, path, body, **headers)[0] == status
    assert "content" in page(server, SMALL)


def test_its_own_origin_is_let_in(server: Server) -> None:
    assert ask(server, "POST", "/page", SMALL, Origin=server.address)[0] == 200


# ---------------------------------------------------------------- it goes on


def test_fifty_edits_at_once_are_all_answered(server: Server) -> None:
    edits = [SMALL.replace("d = 3", f"d = {k}") for k in range(2, 52)]
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda text: page(server, text), edits))
    assert all(f"d = {k}" in answer["content"] for k, answer in zip(range(2, 52), found, strict=True))


def test_fuzzed_texts_are_answered_and_the_next_edit_too(server: Server) -> None:
    for text in texts(150, seed=0):
        found = page(server, text)
        assert "content" in found or not found["error"]["message"].startswith("internal error"), text
    assert "content" in page(server, SMALL)


def test_a_slow_client_keeps_nobody_waiting(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port)) as slow:
        slow.sendall(f"POST /page HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Length: 50\r\n".encode())
        assert "content" in page(server, SMALL)


def test_what_takes_too_long_is_ended_and_the_next_request_is_answered() -> None:
    with serving(workers=1, seconds=4.0) as short:
        assert "content" in page(short, SMALL)
        before = {worker.process.pid for worker in short.workers._all}
        long = "dim d = 3\ninput x0[d]\n" + "".join(f"param W{k}[d, d]\n" for k in range(1, 900))
        long += "".join(f"x{k} = tanh(W{k} x{k - 1})\n" for k in range(1, 900)) + "L = sum(x899)\nminimize L\n"
        start = time.monotonic()
        error = page(short, long)["error"]
        assert "took more than 4 s" in error["message"] and time.monotonic() - start < 15
        assert {worker.process.pid for worker in short.workers._all}.isdisjoint(before)
        deadline = time.monotonic() + 60
        while "content" not in (found := page(short, SMALL)):
            assert time.monotonic() < deadline, found


def test_a_worker_that_ends_is_replaced() -> None:
    with serving(workers=1) as fragile:
        (worker,) = fragile.workers._all
        worker.process.kill()
        worker.process.join()
        assert "its process ended" in page(fragile, SMALL)["error"]["message"]
        assert "content" in page(fragile, SMALL)


def test_who_cannot_wait_is_told_to_come_again() -> None:
    with serving(workers=1, patience=0.05) as busy:
        taken = busy.workers._free.get()
        status, headers, _ = ask(busy, "POST", "/page", SMALL)
        assert status == 503 and headers["Retry-After"] == "5"
        busy.workers._free.put(taken)


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_with_all_its_processes_and_leaves_no_file(ending: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "symbackprop", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        address = process.stderr.readline().split()[0]
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
        connection.request("GET", "/")
        assert b"z = W1 x + b1" in connection.getresponse().read()
        connection.close()
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True)
        process.send_signal(ending)
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == ""
    for child in map(int, children.stdout.split()):
        assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_or_is_none_is_refused(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--port", str(server.server_port)]) == 2
    assert "in use" in capsys.readouterr().err
    assert run(["serve", "--port", "70000"]) == 2
    assert "is no port" in capsys.readouterr().err
    assert run(["serve", "gone.eq", "--port", "0"]) == 2


def test_it_listens_on_this_machine_alone(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
