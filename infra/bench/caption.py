"""Requests a second to a model's server: our client against a bare asyncio and aiohttp loop.

    python infra/bench/caption.py [--requests 1500] [--delay 0 0.5] [--flat 20000]

The server is a process of its own, which answers one completion after a fixed delay; 0 s is the worst case,
where nothing but the clients' own work is measured. Each request holds a JPEG of 768 x 512 px. `bare` encodes
and posts the same request, reads its answer and takes the JSON out of it, and nothing else; `ours` is
`Endpoint.each` with a form to fill, retries, memo, budget and counting. Both take turns, seven times where
there is no delay; rates and their ratio are medians, CPU is the client's. `RSS` is the client's, over
`--flat` requests in calls of 256.
Must reach: 0.9 of the bare loop at 1, 16 and 256 in flight; RSS flat.
"""

import asyncio
import base64
import json
import multiprocessing
import sys
import tempfile
import time
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
import numpy as np
import psutil
from aiohttp import web
from common import arguments, machine, print_table

from thresher.operators.models.chat import settings
from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.endpoint import Endpoint
from thresher.operators.models.chat.messages import Message, jpeg, prompt
from thresher.operators.models.clarity import MAX_TOKENS, Marks

IN_FLIGHT = (1, 16, 256)
TARGET = 0.9
ROUNDS = 7
SAID = json.dumps({"sharpness": "good", "noise": "good", "dynamic_range": "fair"})
CALL = 256
"""Records that a Measure gives at once."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--delay", type=float, nargs="+", default=[0, 0.5])
    parser.add_argument("--flat", type=int, default=20_000)
    options = parser.parse_args()
    print(machine(), end="\n\n")
    pictures, rows, missed = make_pictures(64), [], []
    for delay in options.delay:
        with Served(delay) as url:
            for in_flight in IN_FLIGHT:
                count = (
                    options.requests if not delay else min(options.requests, int(6 * in_flight / delay) + 1)
                )
                found = compare(url, pictures, count, in_flight, 1 if delay else ROUNDS)
                rows.append((f"{delay:g} s, {in_flight} in flight", count, *found))
                if found[2] < TARGET:
                    missed.append(rows[-1][0])
    head = ("", "requests", "bare 1/s", "ours 1/s", "of bare", "bare CPU ms", "ours CPU ms")
    print_table(head, rows)
    with Served(0) as url:
        grown = flat(url, pictures, options.flat)
    print()
    print_table(("after requests", "RSS MB"), grown)
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def make_pictures(count: int) -> list[bytes]:
    """Crops of a photograph as a Measure sends them."""
    import skimage.data

    photo = skimage.data.astronaut()[..., :3]
    wide = np.concatenate([photo, photo[:, ::-1]], axis=1)
    return [jpeg(wide[:, 4 * i : 4 * i + 768]) for i in range(count)]


def compare(url: str, pictures: list[bytes], count: int, in_flight: int, rounds: int) -> list[float]:
    """Requests a second of either, their ratio, and the processor time of either for a request."""
    found = []
    for _ in range(rounds):
        cpu = [time.process_time()]
        theirs = asyncio.run(bare(url, pictures, count, in_flight))
        cpu.append(time.process_time())
        with tempfile.TemporaryDirectory() as memo:
            mine = ours(url, pictures, count, in_flight, memo)
        cpu.append(time.process_time())
        used = [1000 * seconds / count for seconds in np.diff(cpu)]
        found.append([theirs, mine, mine / theirs, *used])
    return [float(value) for value in np.median(found, axis=0)]


async def bare(url: str, pictures: list[bytes], count: int, in_flight: int) -> float:
    """A loop as short as it can be."""
    said, schema, left = prompt("clarity"), Marks.model_json_schema(), iter(range(count))
    form = {"type": "json_schema", "json_schema": {"name": "Marks", "schema": schema, "strict": True}}

    async def worker(session: aiohttp.ClientSession) -> None:
        for i in left:
            url_ = "data:image/jpeg;base64," + base64.b64encode(pictures[i % len(pictures)]).decode()
            content = [
                {"type": "image_url", "image_url": {"url": url_}},
                {"type": "text", "text": f"{said} {i}"},
            ]
            body = {
                "model": "m",
                "messages": [{"role": "user", "content": content}],
                "max_tokens": MAX_TOKENS,
                "temperature": 0,
                "seed": 0,
                "response_format": form,
            }
            async with session.post(f"{url}/chat/completions", json=body) as response:
                json.loads((await response.json())["choices"][0]["message"]["content"])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        started = time.perf_counter()
        await asyncio.gather(*(worker(session) for _ in range(in_flight)))
        return count / (time.perf_counter() - started)


def ours(url: str, pictures: list[bytes], count: int, in_flight: int, memo: str) -> float:
    """The same through the chat role."""
    settings.configure(settings.Settings(in_flight, memo, settings.Budget(tokens=1 << 40)))
    endpoint, said = Endpoint(url, "m", 60), prompt("clarity")

    async def work(chat: Chat, i: int) -> Any:
        message = Message("user", (pictures[i % len(pictures)], f"{said} {i}"))
        return await chat.fill([message], Marks, MAX_TOKENS)

    started = time.perf_counter()
    found = endpoint.each(range(count), work)
    seconds = time.perf_counter() - started
    assert all(isinstance(marks, Marks) for marks in found), found[0]
    return count / seconds


def flat(url: str, pictures: list[bytes], count: int) -> list[tuple[str, float]]:
    """Resident memory at five moments."""
    grown, process = [], psutil.Process()
    with tempfile.TemporaryDirectory() as memo:
        moments = [round(count * share / 5) for share in range(6)]
        for start, stop in pairwise(moments):
            for first in range(start, stop, CALL):
                some = min(CALL, stop - first)
                ours(url, pictures[first % 7 :], some, 16, memo)
            grown.append((f"{stop:,}", process.memory_info().rss / 1e6))
    return grown


class Served:
    """The server, in a process of its own."""

    def __init__(self, delay: float) -> None:
        self._delay = delay

    def __enter__(self) -> str:
        context = multiprocessing.get_context("spawn")
        mine, its = context.Pipe()
        self._process = context.Process(target=serve, args=(self._delay, its), daemon=True)
        self._process.start()
        return f"http://127.0.0.1:{mine.recv()}/v1"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


def serve(delay: float, told: Connection) -> None:
    """Reads each request and answers it with the same marks."""
    message = {"role": "assistant", "content": SAID}
    usage = {"prompt_tokens": 500, "completion_tokens": 20}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice], "usage": usage}).encode()

    async def answer(request: web.BaseRequest) -> web.Response:
        async for _ in request.content.iter_any():
            pass
        if delay:
            await asyncio.sleep(delay)
        return web.Response(body=body, content_type="application/json")

    async def start() -> None:
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        told.send(site._server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(start())


if __name__ == "__main__":
    main()
