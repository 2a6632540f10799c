"""A server that speaks the OpenAI protocol, with faults to order: by the colour of a picture, or by turn."""

import base64
import io
import json
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from thresher.operators.models.chat.endpoint import Endpoint
from thresher.operators.models.chat.messages import probe
from thresher.operators.models.clarity import Marks

KEY = "sk-very-secret-8215"
RECIPE = """
thresher: 1
name: judged
tables:
  images:
    ingest: {{folder: ./pictures}}
    steps:
      - clarity: {{model: {model}, endpoint: "{url}", timeout_s: {timeout_s}, key_env: JUDGE_KEY}}
      - select: {{drop: {{unclear: "clarity < 0.5"}}}}
    export: {{shard_size: 1MB}}
"""
PATIENT = """
import os
if "THRESHER_TEST" in os.environ:
    import thresher.operators.models.chat.patience as patience
    patience.BACKOFF_S = 0.05
"""
LEVELS = [1000 * green + red for green in range(4) for red in range(60, 250, 10)]
"""76: more than one slice, and enough work to start Ray for."""
GOOD = {"sharpness": "excellent", "noise": "good", "dynamic_range": "fair"}


class Server(ThreadingHTTPServer):
    """`faults`: level of a picture of one colour (see `plain`), or -1 for the probe and what has no picture
    -> what to do, one for each time that it is asked; the last one stays. What is not listed is answered
    well. `script(body)`, if there is one: the answer instead, or a status. `blind`: what becomes of every
    picture; `not_known`: a field at which a request is not taken."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: dict[int, list[str]] = {}
        self.asked: Counter[int] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.answered: Counter[int] = Counter()
        self.down = False
        self.blind = self.not_known = ""
        self.dies_after: int | None = None
        self.slow_s = 0.0
        self.script: Callable[[dict[str, Any]], Any] | None = None
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        picture = _picture(body)
        probed = body["messages"] in ([probe(False).wire()], [probe(True).wire()])
        server, level = self.server, _level(picture) if picture and not probed else -1
        turn = server.asked[level]
        server.asked[level] += 1
        server.bodies.append(body)
        server.headers.append(dict(self.headers))
        server.times.append(time.monotonic())
        faults = server.faults.get(level, ["ok"])
        fault = faults[min(turn, len(faults) - 1)]
        if picture and server.blind:
            fault = server.blind
        if server.not_known in body:
            fault = "400"
        with server.lock:
            dead = server.dies_after is not None and server.answered.total() >= server.dies_after
            if dead or server.down:
                fault = "503"
            elif fault == "ok":
                server.answered[level] += 1
        time.sleep(server.slow_s)
        if server.script is None:
            return self.answer(fault)
        said = server.script(body)
        self.answer(str(said)) if isinstance(said, int) else self.send(200, json.dumps(said).encode())

    def answer(self, fault: str) -> None:
        good = json.dumps(GOOD)
        match fault:
            case "ok":
                self.say(good)
            case "429":
                self.send(429, b"{}", {"Retry-After": "1"})
            case "429, a fraction":
                self.send(429, b"{}", {"Retry-After": "0.9"})
            case "204":
                self.send(204, b"")
            case "429 for an hour":
                self.send(429, b"{}", {"Retry-After": "3600"})
            case _ if fault.isdigit() and fault not in ("429", "401", "302"):
                self.send(int(fault), json.dumps({"error": {"message": f"fault {fault}"}}).encode())
            case "long 413":
                self.send(413, b"too\x1b[31m large " * 5000)
            case "mad usage":
                used = '"usage": {"prompt_tokens": 1e999, "completion_tokens": -3}'
                self.send(
                    200,
                    b'{"choices": [{"message": {"content": %s}}], %s}'
                    % (json.dumps(good).encode(), used.encode()),
                )
            case "long key":
                self.say(json.dumps(GOOD | {"k\n" * 250_000: 1}))
            case "401":
                told = f"wrong key: {self.headers['Authorization']}"
                self.send(401, json.dumps({"error": {"message": told}}).encode())
            case "302":
                self.send(302, b"", {"Location": "http://127.0.0.1:1/elsewhere"})
            case "filter 400":
                self.send(400, b'{"error": {"code": "content_filter", "message": "not this picture"}}')
            case "filter":
                self.say("", finish="content_filter")
            case "hang":
                time.sleep(3)
                self.say(good)
            case "drip":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                for _ in range(30):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.1)
            case "dripping headers" | "dripping close" | "dripping chunks":
                begun = {"headers": "", "close": "\r\n", "chunks": "Transfer-Encoding: chunked\r\n\r\n"}
                self.wfile.write(f"HTTP/1.1 200 OK\r\n{begun[fault.split()[1]]}".encode())
                for _ in range(32):
                    self.wfile.write(b"0")
                    time.sleep(0.1)
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(self.connection.detach())
            case "broken off":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"choices"')
                self.connection.shutdown(socket.SHUT_RDWR)
            case "html":
                self.send(200, b"<html>Welcome</html>")
            case "prose":
                self.say(f"Gladly! Here are the marks:\n```json\n{good}\n```\nAsk me more.")
            case "thought":
                self.say('<think>Perhaps {"noise": "bad"}?</think>' + good)
            case "two":
                self.say(f"{good} or rather {good}")
            case "truncated":
                self.say(good[:-10])
            case "length":
                self.say(good[:20], finish="length")
            case "complete, but cut":
                self.say(good + "\n" * 50, finish="length")
            case "other words":
                self.say(json.dumps(GOOD | {"noise": "splendid"}))
            case "unsure":
                self.say(json.dumps(GOOD | {"noise": "unsure", "dynamic_range": "bad"}))
            case "knows nothing":
                self.say(json.dumps(dict.fromkeys(GOOD, "unsure")))
            case "refusal":
                self.say(None, refusal="I must not.")
            case "refusal in prose":
                self.say("I’m sorry, but I can't help with this picture.")
            case "empty":
                self.say("")
            case "braces":
                self.say('{"a":' * 100_000)
            case "10 MB":
                self.send_response(200)
                self.send_header("Content-Length", "10000000")
                self.end_headers()
                for _ in range(1000):
                    self.wfile.write(b"x" * 10_000)
            case _:
                raise AssertionError(fault)

    def say(self, text: str | None, finish: str = "stop", refusal: str | None = None) -> None:
        message = {"role": "assistant", "content": text, "refusal": refusal}
        usage = {"prompt_tokens": 500, "completion_tokens": 20, "total_tokens": 520}
        body = {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}
        self.send(200, json.dumps(body).encode())

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a free port."""
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


@pytest.fixture(scope="session")
def plain() -> Callable[[int], np.ndarray]:
    """`plain(level)`: a picture of one colour, which a JPEG keeps to 2 levels; `level` is red in steps of 10
    and thousands of green."""
    return lambda level: np.full((64, 64, 3), (level % 1000, 80 + 40 * (level // 1000), 128), np.uint8)


@pytest.fixture(scope="session")
def filled() -> Callable[[Endpoint, list[Any], int], list[Any]]:
    """`filled(endpoint, [messages, ...], max_tokens)`: what becomes of the form Marks for each."""

    def together(endpoint: Endpoint, asked: list[Any], max_tokens: int) -> list[Any]:
        return endpoint.each(asked, lambda chat, said: chat.fill(said, Marks, max_tokens))

    return together


@pytest.fixture(scope="session")
def levels() -> list[int]:
    """Of the pictures of `judged`."""
    return LEVELS


@pytest.fixture
def judged(cli, server, plain, recipe) -> Callable[..., Path]:
    """Pictures, a key, short waits; `judged(...)` writes the recipe."""
    folder, site = cli.cwd / "pictures", cli.cwd / "site"
    folder.mkdir()
    site.mkdir()
    for level in LEVELS:
        Image.fromarray(plain(level)).save(folder / f"{level}.png")
    (site / "sitecustomize.py").write_text(PATIENT)
    cli.env |= {"JUDGE_KEY": KEY, "THRESHER_TEST": "1"}
    cli.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))

    def write(url: str = "", model: str = "judge-1", timeout_s: float = 0.5) -> Path:
        return recipe(text=RECIPE.format(url=url or server.url, model=model, timeout_s=timeout_s))

    return write


def _picture(body: dict[str, Any]) -> bytes | None:
    for message in body["messages"]:
        for part in message["content"]:
            if part["type"] == "image_url":
                return base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return None


def _level(picture: bytes) -> int:
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    red, green = pixels[..., 0].mean(), pixels[..., 1].mean()
    return 10 * round(float(red) / 10) + 1000 * round((float(green) - 80) / 40)
