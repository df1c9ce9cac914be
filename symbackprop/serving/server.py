"""The server: the standard library's, on this machine alone. It keeps nothing of what it is sent."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from symbackprop.models import builtin_names, builtin_text
from symbackprop.render.template import fill, verbatim
from symbackprop.reporting.html import text
from symbackprop.reporting.page import hashes
from symbackprop.serving.outputs import OUTPUTS
from symbackprop.serving.workers import BusyError, EndedError, Workers

LARGEST = 100_000
"""The most bytes of a request."""

SECONDS, PATIENCE, CONNECTIONS = 20.0, 60.0, 128
"""What one request may take to be worked, may wait for its turn, and how many may be open."""

SLOWEST = 10.0
"""The seconds that a client may be silent."""


class Server(ThreadingHTTPServer):
    """Serves the page, and answers requests with the work of other processes."""

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, port: int, start: str, *, workers: int = 2, seconds: float = SECONDS, patience: float = PATIENCE) -> None:
        """Listen on a port of 127.0.0.1 (0: any free one). start is the equation text that the page opens with."""
        self.start = start
        self.workers = Workers(0, seconds, patience)  # none before the port is had; a port that is taken closes the server
        super().__init__(("127.0.0.1", port), _Handler)
        self.workers = Workers(workers, seconds, patience)
        self.open = threading.BoundedSemaphore(CONNECTIONS)

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}"

    def server_close(self) -> None:
        """Stop listening and end the workers."""
        super().server_close()
        self.workers.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is no error of the server's."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "symbackprop", ""
    timeout = SLOWEST

    def log_message(self, format: str, *args: Any) -> None:
        """Keep no log."""

    # ------------------------------------------------------------ requests

    def do_GET(self) -> None:
        """The page and the two files that it loads."""
        if not self._from_here():
            return
        if self.path == "/":
            self._send(HTTPStatus.OK, "text/html", _page(self.server.start), policy=True)
        elif self.path in ("/live.js", "/live.css"):
            media = "text/javascript" if self.path.endswith("js") else "text/css"
            self._send(HTTPStatus.OK, media, verbatim(f"html{self.path}"))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_HEAD(self) -> None:
        """The same without the content."""
        self.do_GET()

    def do_POST(self) -> None:
        """An equation text, for which the answer is the live page, an error with its place, or a file."""
        if not self._from_here():
            return
        name = self.path.removeprefix("/")
        if name != "page" and name not in OUTPUTS:
            return self._refuse(HTTPStatus.NOT_FOUND, "there is no such output")
        body = self._body()
        if body is None:
            return
        if not self.server.open.acquire(blocking=False):
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at once", {"Retry-After": "5"})
        try:
            found = self.server.workers.work(name, body)
        except BusyError:
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at once", {"Retry-After": "5"})
        except EndedError as problem:
            found = {"error": {"message": str(problem), "hint": "try a smaller model", "line": 0, "column": 0, "length": 0}}
        finally:
            self.server.open.release()
        if name == "page":  # where an error is an answer like another
            self._send(HTTPStatus.OK, "application/json", json.dumps(found))
        elif "error" in found:
            self._send(HTTPStatus.UNPROCESSABLE_ENTITY, "application/json", json.dumps(found))
        else:
            file = {"Content-Disposition": f'attachment; filename="{OUTPUTS[name].file}"'}
            self._send(HTTPStatus.OK, OUTPUTS[name].media, found["content"], file)

    def _from_here(self) -> bool:
        """Whether the request is for this address and from its own page: other sites cannot reach it through a name or a form."""
        port = self.server.server_port
        hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in hosts and (origin is None or origin in [f"http://{host}" for host in hosts]):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "this page answers its own address alone")
        return False

    def _body(self) -> str | None:
        """The text that was sent, or nothing where it was refused."""
        length, media = self.headers.get("Content-Length", ""), self.headers.get("Content-Type", "")
        if not (length.isascii() and length.isdecimal()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "the length of the text is needed")
        elif int(length[:12]) > LARGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an equation text has at most {LARGEST:,} bytes here")
        elif media.split(";")[0].strip().lower() != "text/plain":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "text/plain is needed")
        else:
            try:
                return self.rfile.read(int(length)).decode("utf-8")
            except UnicodeDecodeError:
                self._refuse(HTTPStatus.BAD_REQUEST, "the text is not UTF-8")
        return None

    # ------------------------------------------------------------ answers

    def _refuse(self, status: HTTPStatus, message: str, more: dict[str, str] | None = None) -> None:
        self.close_connection = True
        error = {"message": message, "hint": "", "line": 0, "column": 0, "length": 0}
        self._send(status, "application/json", json.dumps({"error": error}), {"Connection": "close", **(more or {})})

    def _send(
        self, status: HTTPStatus, media: str, content: str | bytes, more: dict[str, str] | None = None, policy: bool = False
    ) -> None:
        body = content.encode("utf-8", errors="replace") if isinstance(content, str) else content
        self.send_response(status)
        charset = "; charset=utf-8" if isinstance(content, str) else ""
        headers = {
            "Content-Type": media + charset, "Content-Length": str(len(body)), "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", **(more or {}),
        }  # fmt: skip
        if policy:
            headers["Content-Security-Policy"] = _policy()
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _policy() -> str:
    """What the page may load: its own two files, and in the frame, which inherits this, the script and style of a report."""
    script, style = hashes()
    return (
        f"default-src 'none'; script-src 'self' '{script}'; style-src 'self' '{style}'; connect-src 'self'; frame-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _page(start: str) -> str:
    return fill(
        "html/live.html.j2",
        start=text(start),
        models=[(text(name), text(builtin_text(name))) for name in builtin_names()],
        outputs=[(name, text(output.words), text(output.file)) for name, output in OUTPUTS.items()],
    )


def serve(start: str, port: int = 8765) -> Server:
    """Return a server that listens on a port of this machine, not yet serving. Raises OSError where the port is taken."""
    return Server(port, start)
