"""The page's server: on this machine alone, for this page alone, and for who can read what was printed.

It listens on 127.0.0.1; a request must name that address as its host (a foreign name that resolves here
does not pass), come from this page, and carry the key that the printed address ends in. The page holds no
key, no picture and no name: another user of this machine, who can reach the port, gets nothing but an empty
page. A browser sends what follows a `#` to no server, and names it to no other page.
"""

import hmac
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from thresher.pipelines.label.session import Session

LONGEST = 1000
"""Bytes of a request."""
_PAGE = Path(__file__).with_name("page.html")
_NO_KEY = "Open the whole address that thresher label printed, with what follows the #."
_POLICY = (
    "default-src 'none'; img-src data:; connect-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'nonce-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class LabelServer(ThreadingHTTPServer):
    """Serves one session. `port` 0: a free one."""

    daemon_threads = True

    def __init__(self, session: Session, title: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.session, self.title = session, title
        self.token, self.nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(16)
        self.hosts = {f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}"}

    @property
    def url(self) -> str:
        """Where the page is, with its key."""
        return f"http://127.0.0.1:{self.server_port}/#{self.token}"

    def page(self) -> bytes:
        """The page, which is the same for everybody."""
        return _PAGE.read_text("utf-8").replace("{{nonce}}", self.nonce).encode()


class _Handler(BaseHTTPRequestHandler):
    server: LabelServer
    timeout = 30

    def do_GET(self) -> None:
        if not self._from_here():
            self._refuse(403, "this page is for this machine alone")
        elif self.path == "/":
            self._send(200, "text/html; charset=utf-8", self.server.page())
        elif not self._has_token():
            self._refuse(403, _NO_KEY)
        elif self.path == "/state":
            self._state()
        else:
            self._refuse(404, "there is no such page")

    def do_POST(self) -> None:
        if not self._from_here() or not self._has_token():
            self._refuse(403, _NO_KEY)
            return
        asked, session = self._body(), self.server.session
        if asked is None:
            self._refuse(400, "that is no request of the page")
        elif self.path == "/quit":
            self._json({"quit": True})
            threading.Thread(target=self.server.shutdown, daemon=True).start()
        elif self.path == "/undo":
            session.undo()
            self._state()
        elif self.path == "/answer":
            wrong = asked.get("wrong", [])
            held = {str(one) for one in wrong} if isinstance(wrong, list) else set()
            self._state(session.answer(str(asked.get("id")), str(asked.get("label")), held))
        elif self.path == "/skip":
            self._state(session.skip(str(asked.get("id"))))
        else:
            self._refuse(404, "there is no such page")

    def _from_here(self) -> bool:
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        return host in self.server.hosts and origin in (None, f"http://{host}")

    def _has_token(self) -> bool:
        return hmac.compare_digest(
            self.headers.get("X-Thresher-Token", "").encode(), self.server.token.encode()
        )

    def _body(self) -> dict[str, Any] | None:
        try:
            length = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(length)) if 0 < length <= LONGEST else None
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def _state(self, done: bool = True) -> None:
        """What to show now; 409 if the request was about another picture."""
        self._json(self.server.session.state() | {"title": self.server.title}, 200 if done else 409)

    def _json(self, data: dict[str, Any], status: int = 200) -> None:
        self._send(status, "application/json", json.dumps(data).encode())

    def _refuse(self, status: int, why: str) -> None:
        self._send(status, "text/plain; charset=utf-8", why.encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(data)), "Cache-Control": "no-store"}
        headers |= {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        headers["Content-Security-Policy"] = _POLICY.format(self.server.nonce)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: standard error is for what a person should read."""
