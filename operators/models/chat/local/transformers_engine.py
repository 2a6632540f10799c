"""A vision-language model of transformers: whatever `AutoModelForImageTextToText` and its processor's chat
template know, such as Qwen2-VL, Qwen3-VL, LLaVA and LLaVA-OneVision."""

import io
import threading
from collections.abc import Sequence
from typing import Any

from PIL import Image

from thresher.operators.models import weights
from thresher.operators.models.chat.local.engine import Chances, Choose, Fill
from thresher.operators.models.chat.local.guide import Forced, Grammars
from thresher.operators.models.chat.local.words import Place, Rows
from thresher.operators.models.chat.messages import Message
from thresher.operators.models.chat.replies import Reply
from thresher.operators.models.folder import load_model
from thresher.operators.models.torch_setup import setup_torch
from thresher.schemas.errors import ThresherError

BATCH = {"cpu": 8, "cuda": 64}
"""Requests at once where the profile says nothing."""


class TransformersEngine:
    """bf16 on CUDA, fp32 elsewhere. One thread at a time is on the device; others prepare meanwhile."""

    def __init__(self, place: str, device: str, batch: int = 0) -> None:
        self._torch = setup_torch()
        import transformers

        folder = weights.locate(place)
        self.batch = batch or BATCH[device.partition(":")[0]]
        self._device, self._lock = device, threading.Lock()
        self._model = load_model("AutoModelForImageTextToText", folder, device)
        try:
            self._processor = transformers.AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
                folder, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
            reason = str(error).strip().partition("\n")[0]
            mend = "Give the folder of a whole vision-language model, with its processor"
            raise ThresherError(f"no processor can be loaded: {reason}", str(folder), mend) from error
        self._tokenizer = self._processor.tokenizer
        self._ends = _ends(self._model.generation_config, self._tokenizer)
        pad = self._tokenizer.pad_token_id
        self._model.generation_config = transformers.GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,  # whatever that of the folder says
            eos_token_id=self._ends,
            pad_token_id=self._ends[0] if pad is None else pad,
        )
        size = self._model.config.get_text_config().vocab_size
        self._grammars = Grammars(self._tokenizer, size, self._ends)

    def fill(self, asked: Sequence[Fill]) -> list[Reply]:
        """See `Engine`."""
        inputs = self._inputs([one.messages for one in asked])
        prompt, limits = inputs["input_ids"].shape[1], [one.max_tokens for one in asked]
        written = self._generate(
            inputs,
            max(limits),
            logits_processor=[self._grammars.guide([one.form for one in asked])],
        ).sequences
        used = inputs["attention_mask"].sum(1).tolist()
        return [
            self._reply(tokens[:most], most, before)
            for tokens, most, before in zip(written[:, prompt:].tolist(), limits, used, strict=True)
        ]

    def choose(self, asked: Sequence[Choose]) -> list[Chances]:
        """See `Engine`. One forward pass; a few more tokens where words begin alike."""
        choices = Rows([one.words for one in asked], self._encode, self._ends[0])
        inputs = self._inputs([asked[i].messages for i, _ in choices.rows])
        logs = self._next([place for _, place in choices.rows], inputs)
        return choices.chances(logs, inputs["attention_mask"].sum(1).tolist())

    def clear(self) -> None:
        """See `Engine`."""
        if self._device.startswith("cuda"):
            self._torch.cuda.empty_cache()

    def _next(self, places: Sequence[Place], inputs: Any) -> list[dict[int, float]]:
        """For each row the log-probabilities of its place's tokens, after its first ones were written."""
        prompt, steps = inputs["input_ids"].shape[1], max(len(place.after) for place in places) + 1
        forced = Forced(prompt, [place.after for place in places])
        logits = self._generate(inputs, steps, logits_processor=[forced], output_logits=True).logits
        found = []
        for row, place in enumerate(places):
            logs = logits[len(place.after)][row].float().log_softmax(-1)
            found.append(dict(zip(place.tokens, logs[list(place.tokens)].tolist(), strict=True)))
        return found

    def _inputs(self, conversations: Sequence[Sequence[Message]]) -> Any:
        """Left-padded tokens, and pictures as the processor resizes them; what a text says of the model's
        own control tokens stays text."""
        return self._processor.apply_chat_template(
            [[_turn(message) for message in messages] for messages in conversations],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            sanitize_control_tokens=True,
            processor_kwargs={"padding": True, "padding_side": "left"},
        )

    def _generate(self, inputs: Any, most: int, **how: Any) -> Any:
        with self._lock, self._torch.inference_mode():
            given = inputs.to(self._device, dtype=self._model.dtype)
            return self._model.generate(**given, max_new_tokens=most, return_dict_in_generate=True, **how)

    def _reply(self, tokens: list[int], most: int, before: int) -> Reply:
        end = next((i for i, token in enumerate(tokens) if token in self._ends), None)
        text = self._tokenizer.decode(tokens[:end], skip_special_tokens=True)
        written = len(tokens) if end is None else end + 1
        return Reply(text, "length" if end is None else "stop", False, before, written)

    def _encode(self, word: str) -> list[int]:
        return self._tokenizer.encode(word, add_special_tokens=False)


def _turn(message: Message) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, str):
            parts.append({"type": "text", "text": part})
        else:
            parts.append({"type": "image", "image": Image.open(io.BytesIO(part)).convert("RGB")})
    return {"role": message.role, "content": parts}


def _ends(config: Any, tokenizer: Any) -> list[int]:
    """The tokens that end a reply, the usual one first."""
    named = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    return [token for token in dict.fromkeys([tokenizer.eos_token_id, *named]) if token is not None]
