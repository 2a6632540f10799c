"""Vision-language models in this process: tiny ones of true architecture, with random weights."""

import asyncio
import importlib.util
import io
import json
import re
import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from thresher.operators.base import Batch, Failure
from thresher.operators.models.chat import settings as chat_settings
from thresher.operators.models.chat.local.engine import Chances, Choose, Fill
from thresher.operators.models.chat.local.model import LocalModel
from thresher.operators.models.chat.local.words import Vocabulary
from thresher.operators.models.chat.messages import Form, Message, jpeg
from thresher.operators.models.chat.params import ChatParams
from thresher.operators.models.chat.replies import Reply
from thresher.operators.models.clarity import RGB, Clarity, Marks
from thresher.pipelines.runview import open_run
from thresher.schemas import FieldError, Reason, ThresherError

MAKER = Path(__file__).parents[3] / "infra" / "gpu" / "random_model.py"
KINDS = ("qwen2_vl", "llava")
WORDS = ("supported", "refuted", "unsure", "unsure of it", "un")
RECIPE = """
thresher: 1
name: judged
tables:
  images:
    ingest: {{folder: ./pictures}}
    steps:
      - clarity: {params}
"""


@pytest.fixture(scope="session")
def vlm(torch, tmp_path_factory) -> Callable[[str], Path]:
    """`vlm(kind)`: the folder of a model."""
    spec = importlib.util.spec_from_file_location("random_model", MAKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = {kind: module.make(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}
    return made.__getitem__


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """Six of different sizes."""
    random = np.random.default_rng(5)
    return [random.integers(0, 256, (40 + 20 * i, 90, 3), np.uint8) for i in range(6)]


def params(folder: Path) -> ChatParams:
    return ChatParams(backend="transformers", weights=str(folder))


def question(rgb: np.ndarray, said: str = "Judge it.") -> list[Message]:
    return [Message("user", (jpeg(rgb), said))]


async def judge(chat, item):
    """A conversation of two questions; the second depends on the first."""
    number, rgb = item
    marks = await chat.fill(question(rgb, "Judge it. " * (1 + number)), Marks, 200)
    choice = await chat.choose(question(rgb, f"{marks} Is that so?"), WORDS)
    return marks, choice


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_asks_a_model_in_this_process(cli, vlm, recipe, pictures, kind):
    folder = cli.cwd / "pictures"
    folder.mkdir()
    for i, rgb in enumerate(pictures):
        Image.fromarray(rgb).save(folder / f"{i}.png")
    Image.fromarray(np.zeros((64, 1200, 3), np.uint8)).save(folder / "wide.png")
    shutil.copytree(vlm(kind), cli.cwd / "model")
    step = json.dumps({"backend": "transformers", "weights": "model"})
    path = recipe(text=RECIPE.format(params=step))
    cli.run(path, "--run", "r", "--local")
    reader = open_run(cli.cwd / "r").reader("images")
    found = [row["clarity"] for part in reader.parts for row in reader.read(part, ["clarity"]).to_pylist()]
    assert len(found) == 7 and all(value is None or 0 <= value <= 1 for value in found)
    file = next((cli.cwd / "r/columns/images").glob("clarity@*/part-*.parquet"))
    metadata = pq.read_schema(file).field("clarity").metadata
    assert metadata[b"backend"] == b"transformers"
    assert re.fullmatch(rb"clarity-[0-9a-f]{8} chat-[0-9a-f]{8} [0-9a-f]{16}", metadata[b"revision"])
    lines = map(json.loads, (cli.cwd / "r/metrics.jsonl").read_text().splitlines())
    (used,) = [line for line in lines if line["event"] == "model"]
    assert used["requests"] == 7 and used["prompt_tokens"] > 70 and used["completion_tokens"] > 70


@pytest.mark.parametrize("kind", KINDS)
def test_batches_change_no_answer(vlm, pictures, kind):
    items = [*enumerate(pictures)]
    alone, together = (params(vlm(kind)).connect("cpu", batch).each(items, judge) for batch in (1, 4))
    for (marks, choice), (other_marks, other) in zip(alone, together, strict=True):
        assert isinstance(marks, Marks) and marks == other_marks
        assert choice.answer == other.answer and choice.how == "logprobs"
        assert choice.p == pytest.approx(other.p, abs=1e-5) and sum(choice.p.values()) == pytest.approx(1)
    answers = {json.dumps(choice.p) for _, choice in alone}
    assert len(answers) == len(pictures), "the picture counts"


@pytest.mark.parametrize("words", [("yes", "no", "maybe"), WORDS])
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_those_of_a_forward_pass(vlm, torch, pictures, kind, words):
    """Each word by teacher forcing, whole, and up to the end of the reply where another begins with it."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(vlm(kind)).eval()
    processor = AutoProcessor.from_pretrained(vlm(kind))
    tokens = processor.tokenizer
    said = [
        {"type": "image", "image": Image.open(io.BytesIO(jpeg(pictures[2])))},
        {"type": "text", "text": "So?"},
    ]
    given_ = processor.apply_chat_template(
        [{"role": "user", "content": said}],
        add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
    )  # fmt: skip
    paths = {word: [*tokens.encode(word), tokens.eos_token_id] for word in words}
    logs = {}
    for word, path in paths.items():
        others = [other for name, other in paths.items() if name != word]
        told = next(n for n in range(1, 99) if all(other[:n] != path[:n] for other in others))
        start, inputs = given_["input_ids"].shape[1], dict(given_)
        for name, filler in (
            ("input_ids", path),
            ("attention_mask", [1] * 99),
            ("mm_token_type_ids", [0] * 99),
        ):
            if name in inputs:
                more = torch.tensor([filler[:told]])
                inputs[name] = torch.cat([inputs[name], more.to(inputs[name].dtype)], 1)
        with torch.inference_mode():
            found = model(**inputs).logits[0].log_softmax(-1)
        logs[word] = sum(float(found[start - 1 + i, path[i]]) for i in range(told))
    total = sum(np.exp(log) for log in logs.values())

    async def ask(chat, rgb):
        return await chat.choose(question(rgb, "So?"), words)

    (choice,) = params(vlm(kind)).connect("cpu").each([pictures[2]], ask)
    assert choice.p == pytest.approx({word: np.exp(log) / total for word, log in logs.items()}, abs=1e-4)


class Story(Form):
    """Longer than it may be."""

    told: str


def test_a_reply_that_is_cut_is_asked_again_and_then_fails(vlm, pictures):
    async def tell(chat, rgb):
        return await chat.fill(question(rgb), Story, 8)

    model = params(vlm("llava")).connect("cpu", 2)
    found = model.each(pictures[:2], tell)
    assert [one.reason for one in found] == [Reason.REPLY_TRUNCATED] * 2, found
    assert "cut at 16 tokens" in found[0].message
    assert model.spent["requests"] == 4 and model.spent["completion_tokens"] == 2 * (8 + 16)


def test_a_short_limit_does_not_cut_the_others_of_its_batch(vlm, pictures):
    async def fill(chat, item):
        return await chat.fill(question(item[0]), Marks, item[1])

    model = params(vlm("qwen2_vl")).connect("cpu", 4)
    found = model.each([*zip(pictures[:4], (200, 4, 200, 4), strict=True)], fill)
    assert [isinstance(one, Marks) for one in found] == [True, False, True, False]


def test_what_a_caption_says_of_control_tokens_is_text(vlm, pictures):
    async def ask(chat, said):
        return await chat.choose(question(pictures[0], said), ("yes", "no"))

    model = params(vlm("qwen2_vl")).connect("cpu")
    found = model.each(["<|image_pad|><|im_end|> <|im_start|>", "plain"], ask)
    assert [one.how for one in found] == ["logprobs"] * 2


def test_a_picture_that_cannot_be_read_fails_alone(vlm, pictures):
    strip = np.zeros((2, 1000, 3), np.uint8)  # the processor refuses an aspect of more than 200
    model = params(vlm("qwen2_vl")).connect("cpu", 4)
    found = model.each([*enumerate([*pictures[:3], strip, *pictures[3:]])], judge)
    marks = [one[0] for one in found]
    assert [isinstance(one, Marks) for one in marks] == [True] * 3 + [False] + [True] * 3
    assert marks[3].reason == Reason.BAD_VALUE and "aspect ratio" in marks[3].message


def test_no_network_is_touched(vlm, pictures, monkeypatch):
    def connect(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    found = Clarity(params(vlm("llava"))).measure(Batch([], {RGB: pictures[:2]}))
    assert not found.failures and len(found.columns["clarity"]) == 2


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def blind(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["vision_config"]
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (shutil.rmtree, "there is no file or folder"),
        (without("model.safetensors"), "there are no safetensors"),
        (without("config.json"), "there is no readable config.json"),
        (without("chat_template.jinja"), "has no chat template.*put its chat_template.jinja"),
        (without("processor_config.json"), "there is no readable processor_config.json"),
        (blind, "takes no pictures"),
    ],
)
def test_a_folder_that_cannot_be_talked_to_is_told_by_the_plan(cli, vlm, recipe, pool, spoil, told):
    shutil.copytree(vlm("llava"), cli.cwd / "model")
    spoil(cli.cwd / "model")
    step = json.dumps({"backend": "transformers", "weights": "model"})
    path = recipe(text=RECIPE.format(params=step).replace("./pictures", "./photos"))
    cli("plan", str(path), "--run", "r", code=2)
    err = " ".join(cli.err.split())
    assert re.search(told, err) and "photos.yaml:8" in err and "Traceback" not in err, cli.err


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({"backend": "transformers"}, "needs `weights`.*Add `weights: PATH`"),
        ({"backend": "vllm", "weights": "x"}, "'vllm' is not installed.*thresher\\[vllm\\]"),
        ({"backend": "transformers", "weights": "x", "endpoint": "http://host"}, "has no endpoint"),
        ({"weights": "x"}, "an endpoint has no weights.*backend: transformers"),
        ({"backend": "transformers", "weights": "hf:lab/model"}, "names no repository at a commit"),
    ],
)
def test_what_cannot_be_asked_is_told_before_the_run(given_, told):
    with pytest.raises(FieldError, match=told):
        ChatParams(**given_).check("")


class Toy:
    """An engine that answers with the number that it is asked about, and has room for few requests. Some are
    more than it can hold even alone, some it cannot read."""

    def __init__(
        self, batch: int, room: int = 99, hungry: Sequence[int] = (), bad: Sequence[int] = ()
    ) -> None:
        self.batch, self.sizes = batch, []
        self._room, self._hungry, self._bad = room, hungry, bad

    def fill(self, asked: Sequence[Fill]) -> list[Reply]:
        numbers = [_number(one) for one in asked]
        if len(numbers) > self._room or any(n in self._hungry for n in numbers):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if any(n in self._bad for n in numbers):
            raise ValueError("this picture is none")
        self.sizes.append(len(numbers))
        return [Reply(json.dumps({"told": str(n)}), "stop", False, 5, 2) for n in numbers]

    def choose(self, asked: Sequence[Choose]) -> list[Chances]:
        return [Chances({word: 1 / len(one.words) for word in one.words}, 5, 1) for one in asked]

    def clear(self) -> None:
        pass


def _number(asked: Fill) -> int:
    text = asked.messages[0].parts[-1]
    return int(text) if text.isdigit() else -1


def say(number: int) -> list[Message]:
    return [Message("user", (str(number),))]


async def tell(chat, number: int):
    return await chat.fill(say(number), Story, 9)


numbers = st.sets(st.integers(0, 19), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 20), st.integers(1, 9), st.integers(1, 9), numbers, numbers)
def test_every_record_is_answered_or_fails_alone(count, batch, room, hungry, bad):
    """Whatever does not fit, in whichever batch: the others are answered, in order, each once."""
    model = LocalModel(Toy(batch, room, hungry, bad), "toy", "made up")
    found = model.each(range(count), tell)
    for i, one in enumerate(found):
        if i in hungry:
            assert isinstance(one, Failure) and one.reason == Reason.TOO_MANY_PIXELS
        elif i in bad:
            assert isinstance(one, Failure) and one.reason == Reason.BAD_VALUE
        else:
            assert one == Story(told=str(i))
    assert model.spent["requests"] == sum(isinstance(one, Story) for one in found)


@pytest.mark.parametrize(
    ("toy", "told"),
    [
        (Toy(4, room=0), "no memory left to answer even one.*device with more memory"),
        (Toy(4, bad=range(-1, 99)), "answers nobody: ValueError: this picture is none"),
    ],
)
def test_a_model_that_answers_nobody_stops_the_run(toy, told):
    found = LocalModel(toy, "toy", "made up").each(range(6), tell)
    assert all(isinstance(one, ThresherError) for one in found)
    assert re.search(told, str(found[0])) and "toy" in str(found[0])


def test_questions_are_gathered_while_all_wait():
    """Also those that a coroutine asks side by side, and those of its second turn."""

    async def talk(chat, number):
        first = await asyncio.gather(*[tell(chat, 10 * number + i) for i in range(3)])
        await asyncio.sleep(0)
        return [*first, await tell(chat, number)]

    toy = Toy(8)
    found = LocalModel(toy, "toy", "made up").each(range(4), talk)
    assert [one[2].told for one in found] == ["2", "12", "22", "32"]
    assert toy.sizes == [8, 6, 2]  # 12 first questions; 4 of them wait beside the first 2 of the second turn


def test_a_run_that_is_to_stop_answers_no_further_batch():
    """What was answered is kept; who waits is asked by the next run."""
    asked = iter(range(99))
    chat_settings.configure(chat_settings.Settings(stop=lambda: next(asked) >= 2))
    try:
        found = LocalModel(Toy(3), "toy", "made up").each(range(10), tell)
    finally:
        chat_settings.configure(chat_settings.Settings())
    assert found[:6] == [Story(told=str(i)) for i in range(6)]
    assert all(isinstance(one, chat_settings.NotBegun) for one in found[6:])


def test_a_budget_stops_and_what_was_answered_is_not_asked_again(tmp_path):
    """7 tokens each, in batches of 3: the budget is seen as spent after the second. Other weights share no
    answer, and probabilities come back to the bit."""

    async def both(chat, number):
        choice = await chat.choose(say(number), ("a", "b", "c"))
        return (await tell(chat, number)).told, choice

    def ask(toy, revision, work, budget=None):
        kept = chat_settings.Settings(memo=str(tmp_path), budget=chat_settings.Budget(tokens=budget))
        chat_settings.configure(kept)
        try:
            model = LocalModel(toy, "toy", revision)
            return model.each(range(10), work), model
        finally:
            chat_settings.configure(chat_settings.Settings())

    found, model = ask(Toy(3), "one", tell, 30)
    assert found[:6] == [Story(told=str(i)) for i in range(6)] and model.spent["requests"] == 6
    assert all("the budget is spent: 42 of 30" in str(one) for one in found[6:])
    toy, other = Toy(3), Toy(3)
    found, model = ask(toy, "one", tell)
    assert toy.sizes == [3, 1] and (model.spent["requests"], model.spent["memo_hits"]) == (4, 6)
    assert {spent["requests"] for spent in model.each_spent} == {1}
    ask(other, "two", tell)
    assert sum(other.sizes) == 10
    first, again = (ask(toy, "one", both)[0] for _ in range(2))
    assert first == again and sum(toy.sizes) == 4 and first[0][1].p["a"] == 1 / 3


def test_an_operator_that_raises_costs_one_record():
    async def work(chat, number):
        if number == 1:
            raise KeyError("oops")
        return await tell(chat, number)

    found = LocalModel(Toy(4), "toy", "made up").each(range(3), work)
    assert found[1] == Failure(Reason.BAD_VALUE, "KeyError: 'oops'") and found[2] == Story(told="2")


@given(st.lists(st.text("ab", max_size=4), min_size=1, max_size=6, unique=True))
def test_words_count_by_what_tells_them_apart(words):
    """Where every next token has the probability 1/4: 4 to the power of minus the tokens needed."""
    made = Vocabulary(words, lambda word: [ord(letter) for letter in word], 0)
    logs = {place.after: dict.fromkeys(place.tokens, np.log(0.25)) for place in made.places}
    whole = [word + "." for word in words]
    needed = [
        next(n for n in range(1, 6) if sum(other[:n] == word[:n] for other in whole) == 1) for word in whole
    ]
    powers = np.array([0.25**n for n in needed])
    assert [*made.chances(logs).values()] == pytest.approx(powers / powers.sum())


def test_words_that_are_one_to_the_model_are_refused():
    with pytest.raises(ThresherError, match="yes, yes are one to the model"):
        Vocabulary(["yes", "yes"], lambda word: [1], 0)
