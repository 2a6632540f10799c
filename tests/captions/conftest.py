"""A server that speaks the OpenAI protocol and answers as a test says."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from thresher.operators.models.chat.messages import probe

Script = Callable[[dict[str, Any]], Any]


class ScriptedServer(ThreadingHTTPServer):
    """`script(body)` gives the reply: a dict (sent as JSON text), a str, or an int (an HTTP status).
    The probe is answered without it: no probabilities are told."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.bodies = script, []
        self.slow_s = 0.0
        self.lock = threading.Lock()

    bodies: list[dict[str, Any]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.server.slow_s)
        with self.server.lock:
            probed = body["messages"] == [probe(False).wire()]
            said = "yes" if probed else self.server.script(body)
            if not probed:
                self.server.bodies.append(body)
        if isinstance(said, int):
            return self._send(said, {"error": {"message": f"fault {said}"}})
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        message = {"role": "assistant", "content": text, "refusal": None}
        usage = {"prompt_tokens": 500, "completion_tokens": 20, "total_tokens": 520}
        self._send(
            200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
        )

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        held = json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(held)))
        self.end_headers()
        self.wfile.write(held)


@pytest.fixture
def chat_server() -> Iterator[Callable[[Script], ScriptedServer]]:
    """`chat_server(script)` starts one on a free port."""
    made: list[ScriptedServer] = []

    def start(script: Script) -> ScriptedServer:
        made.append(ScriptedServer(script))
        threading.Thread(target=made[-1].serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return made[-1]

    yield start
    for server in made:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def said() -> Callable[[dict[str, Any]], str]:
    """All the words of a request."""
    return lambda body: "\n".join(
        p["text"] for m in body["messages"] for p in m["content"] if p["type"] == "text"
    )


@pytest.fixture(scope="session")
def shown() -> Callable[[dict[str, Any]], Image.Image | None]:
    """The first picture of a request."""

    def picture(body: dict[str, Any]) -> Image.Image | None:
        for message in body["messages"]:
            for part in message["content"]:
                if part["type"] == "image_url":
                    held = part["image_url"]["url"].partition(",")[2]
                    return Image.open(io.BytesIO(base64.b64decode(held)))
        return None

    return picture
