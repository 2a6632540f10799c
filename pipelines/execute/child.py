"""A spawned process that does what may crash: it opens media, so that a segfault costs one record.

The parent writes a pickled function and its argument in one line of base64, and reads one line of JSON
back. The child's own prints go to stderr.
"""

import base64
import contextlib
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from thresher.pipelines.store.files import forget_opened
from thresher.schemas.errors import ThresherError


class ChildDied(Exception):
    """The child was killed or ended; `signal` is what killed it (0 if it exited)."""

    def __init__(self, number: int, status: int) -> None:
        self.signal = number
        super().__init__(f"killed by signal {number}" if number else f"ended with status {status}")


class ChildError(Exception):
    """The traceback of an unexpected error in the child, for `--debug`."""


class Child:
    """The parent's end. Starts on the first call; after `ChildDied` the next call starts another."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, fn: Callable[[Any], Any], item: Any) -> Any:
        """`fn(item)` in the child. Raises ChildDied, or ThresherError as the child raised it."""
        process = self._process = self._process or _start()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(base64.b64encode(pickle.dumps((fn, item))) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            status = process.wait()
            self._process = None
            raise ChildDied(max(-status, 0), status)
        answer = json.loads(line)
        if "error" in answer:
            raise ThresherError(answer["error"]) from ChildError(answer["trace"])
        return answer["result"]

    def close(self) -> None:
        """End the child."""
        if self._process:
            assert self._process.stdin
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """End the child at once."""
        if self._process:
            self._process.kill()
            self._process.wait()


def _start() -> subprocess.Popen[bytes]:
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-m", "thresher.pipelines.execute.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | own,
        process_group=0,
    )


def pack(table: pa.Table) -> str:
    """A table as text, for an answer."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return base64.b64encode(sink.getvalue()).decode()


def unpack(text: str) -> pa.Table:
    """The inverse of `pack`."""
    return pa.ipc.open_stream(base64.b64decode(text)).read_all()


def _serve() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    for line in sys.stdin.buffer:
        try:
            fn, item = pickle.loads(base64.b64decode(line))  # from our own parent alone
            answer = {"result": fn(item)}
        except ThresherError as error:
            answer = {"error": str(error), "trace": ""}
        except Exception as error:
            import traceback

            what = f"unexpected {type(error).__name__}: {error}. Run again with --debug to see where."
            answer = {"error": what, "trace": traceback.format_exc()}
        answers.write(json.dumps(answer).encode() + b"\n")
        try:
            answers.flush()
        except BrokenPipeError:  # the parent was killed: nobody waits for this, nor for what is left of it
            os._exit(1)
        forget_opened()


def _end_with_parent(parent: int) -> None:
    """End at once when the parent was killed, which closes our stdin: the next run must not find a second
    one that still asks a server and writes columns. A parent that lives closes it to let us finish."""
    hung_up = select.poll()
    hung_up.register(0, 0)
    hung_up.poll()
    while os.getppid() == parent:
        time.sleep(0.02)
    os._exit(1)


if __name__ == "__main__":
    _serve()
