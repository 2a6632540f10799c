"""Tokens a second of a vision-language model in this process, beside the same engine without Thresher.

    pip install -e '.[models]'                              # or '.[vllm]', in an environment of its own
    python infra/gpu/chat.py --backend transformers         # or vllm
    python infra/gpu/chat.py --device cpu --size tiny --records 8       # whether the script itself works

A random Qwen2-VL of the size of the 7B is made in a temporary folder (17 GB): nothing is downloaded. Each
record is a picture and a form of a known number of words. `thresher` asks through the chat role, guided by
the form and with two threads, as a run does on a GPU; `bare` gives the same questions to the engine itself,
without a form, for as many tokens: `generate` of transformers in the same batches, or `LLM.chat` of vLLM with
all at once, which is what `vllm bench throughput --backend vllm-chat` measures.
Must reach: 0.9 of the bare engine.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field
from random_model import make

from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.local.model import LocalModel
from thresher.operators.models.chat.local.transformers_engine import TransformersEngine
from thresher.operators.models.chat.local.vllm_engine import VllmEngine
from thresher.operators.models.chat.messages import Form, Message, jpeg

LANES = 2
CHUNK = {"transformers": 64, "vllm": 256}
"""Records that a thread asks about at once, as `ChatMeasure.batch`."""
WORDS = 64
TARGET = 0.9


class Colours(Form):
    """A reply whose length is known."""

    colours: list[Literal["red", "green", "blue"]] = Field(min_length=WORDS, max_length=WORDS)


async def ask(chat: Chat, message: Message) -> Any:
    """One record."""
    return await chat.fill([message], Colours, 8 * WORDS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", choices=CHUNK, default="transformers")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--size", default="7b")
    parser.add_argument("--records", type=int, default=512)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (512, 768, 3), np.uint8) for _ in range(options.records)]
    asked = [Message("user", (jpeg(picture), "Which colours do you see?")) for picture in pictures]
    with tempfile.TemporaryDirectory() as name:
        made = str(make(Path(name), "qwen2_vl", options.size, options.device))
        engine: Any = (TransformersEngine if options.backend == "transformers" else VllmEngine)(
            made, options.device
        )
        rate, tokens = ours(engine, asked, CHUNK[options.backend])
        bare = (bare_transformers if options.backend == "transformers" else bare_vllm)(engine, asked, tokens)
    print(f"{options.backend}, {options.size} on {device_name(options.device)}, {options.records} records")
    print(f"thresher {rate:,.0f} tokens/s, bare {bare:,.0f} tokens/s, of {tokens} a reply: {rate / bare:.2f}")
    if rate < TARGET * bare:
        sys.exit(f"missed: {rate / bare:.2f} of the bare engine, not {TARGET}")


def device_name(device: str) -> str:
    """The GPU's own name, or `cpu`."""
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def ours(engine: Any, asked: Sequence[Message], chunk: int) -> tuple[float, int]:
    """Tokens a second through the chat role, and tokens of a reply."""
    LocalModel(engine, "warm", "random").each(asked[:chunk], ask)
    model = LocalModel(engine, "7b", "random")
    chunks = [asked[i : i + chunk] for i in range(0, len(asked), chunk)]
    started = time.perf_counter()
    with ThreadPoolExecutor(LANES) as lanes:
        found = [one for part in lanes.map(lambda part: model.each(part, ask), chunks) for one in part]
    seconds = time.perf_counter() - started
    if wrong := [one for one in found if not isinstance(one, Colours)]:
        sys.exit(f"{len(wrong)} replies are none: {wrong[0]}")
    written = model.spent["completion_tokens"]
    return written / seconds, round(written / model.spent["requests"])


def bare_transformers(engine: TransformersEngine, asked: Sequence[Message], tokens: int) -> float:
    """`generate` alone, its processor before it, batch after batch."""

    def answer(part: Sequence[Message]) -> None:
        engine._generate(engine._inputs([[one] for one in part]), tokens, min_new_tokens=tokens)

    answer(asked[: engine.batch])
    started = time.perf_counter()
    for i in range(0, len(asked), engine.batch):
        answer(asked[i : i + engine.batch])
    return len(asked) * tokens / (time.perf_counter() - started)


def bare_vllm(engine: VllmEngine, asked: Sequence[Message], tokens: int) -> float:
    """`LLM.chat` alone, all at once. What is cached of the prompts is forgotten before."""
    from vllm import SamplingParams

    params = SamplingParams(temperature=0.0, max_tokens=tokens, ignore_eos=True)
    engine._model.reset_prefix_cache()
    engine._model.reset_mm_cache()
    started = time.perf_counter()
    engine._model.chat([[one.wire()] for one in asked], params, use_tqdm=False)
    return len(asked) * tokens / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
