"""Models of the chat role on a CUDA device; vLLM in an environment of its own. Run by infra/gpu/check.sh."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from thresher.operators.models.chat.messages import Message, jpeg
from thresher.operators.models.chat.params import ChatParams
from thresher.operators.models.clarity import Marks

pytestmark = pytest.mark.gpu
MAKER = Path(__file__).parents[3] / "infra" / "gpu" / "random_model.py"
WORDS = ("supported", "refuted", "unsure", "unsure of it")


@pytest.fixture(scope="module", params=["qwen2_vl", "llava"])
def folder(request, torch, tmp_path_factory) -> str:
    spec = importlib.util.spec_from_file_location("random_model", MAKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.make(tmp_path_factory.mktemp(request.param), request.param, "small"))


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    random = np.random.default_rng(5)
    return [jpeg(random.integers(0, 256, (60 + 20 * i, 90, 3), np.uint8)) for i in range(8)]


async def judge(chat, picture):
    marks = await chat.fill([Message("user", (picture, "Judge it."))], Marks, 200)
    return marks, await chat.choose([Message("user", (picture, "Is that so?"))], WORDS)


@pytest.mark.parametrize("backend", ["transformers", "vllm"])
def test_forms_are_valid_and_probabilities_agree_with_the_cpu(folder, pictures, backend):
    pytest.importorskip(backend)
    asked = ChatParams(backend=backend, weights=folder)
    asked.check("")
    model = asked.connect("cuda:0")
    found = model.each(pictures, judge)
    cpu = ChatParams(backend="transformers", weights=folder).connect("cpu").each(pictures, judge)
    for (marks, choice), (_, exact) in zip(found, cpu, strict=True):
        assert isinstance(marks, Marks) and choice.how == "logprobs"
        assert choice.p == pytest.approx(exact.p, abs=0.1)
    assert model.spent["completion_tokens"] > 8 * 10


def test_memory_that_runs_out_on_the_device_halves_the_batch(folder, pictures, torch):
    free, _ = torch.cuda.mem_get_info()
    model = ChatParams(backend="transformers", weights=folder).connect("cuda:0", 512)
    held = torch.empty(int(free * 0.97), dtype=torch.uint8, device="cuda")
    found = model.each(pictures * 64, judge)
    del held
    assert len(found) == 512 and all(isinstance(marks, Marks) for marks, _ in found)
