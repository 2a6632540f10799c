"""The engine of vLLM in this process, on a CUDA device: it batches by itself, and needs no server.

Written against the sources of vLLM 0.32.0, and never run where it was written: `infra/gpu/check.sh` does.
"""

import os
import threading
from collections.abc import Sequence
from typing import Any

from thresher.operators.models import weights
from thresher.operators.models.chat.local.engine import Chances, Choose, Fill
from thresher.operators.models.chat.local.words import Place, Rows
from thresher.operators.models.chat.messages import Message
from thresher.operators.models.chat.replies import Reply
from thresher.schemas.errors import ThresherError

BATCH = 256
"""Requests that it is given at once; it runs as many of them as its memory holds."""


class VllmEngine:
    """One thread at a time is answered: `vllm.LLM` is for one."""

    def __init__(self, place: str, device: str, batch: int = 0) -> None:
        if not device.startswith("cuda"):
            mend = "Take `backend: transformers`, which runs on a CPU too"
            raise ThresherError(f"vLLM needs a CUDA device, and this is {device}", place, mend)
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        try:
            import vllm
        except ImportError as error:
            raise weights.missing_package("vllm", "vllm") from error
        self.batch, self._lock, self._vllm = batch or BATCH, threading.Lock(), vllm
        try:
            self._model = vllm.LLM(
                model=str(weights.locate(place)),
                load_format="safetensors",
                dtype="bfloat16",
                max_model_len=-1,  # as long as fits into the memory that is left
                trust_remote_code=False,
            )
        except (ValueError, RuntimeError, OSError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ThresherError(
                f"vLLM cannot load it: {reason}", place, "Take `backend: transformers`"
            ) from error
        self._tokenizer = self._model.get_tokenizer()

    def fill(self, asked: Sequence[Fill]) -> list[Reply]:
        """See `Engine`."""
        from vllm.sampling_params import StructuredOutputsParams

        params = [
            self._vllm.SamplingParams(
                temperature=0.0,
                max_tokens=one.max_tokens,
                structured_outputs=StructuredOutputsParams(
                    json=one.form.model_json_schema(), disable_any_whitespace=True
                ),
            )
            for one in asked
        ]
        found = self._chat([one.messages for one in asked], params)
        return [
            Reply(
                one.outputs[0].text,
                str(one.outputs[0].finish_reason),
                False,
                len(one.prompt_token_ids),
                len(one.outputs[0].token_ids),
            )
            for one in found
        ]

    def choose(self, asked: Sequence[Choose]) -> list[Chances]:
        """See `Engine`. One token for each request, and for each beginning that words share."""
        choices = Rows([one.words for one in asked], self._encode, self._tokenizer.eos_token_id)
        found: dict[int, Any] = {}
        for begun in (False, True):
            rows = [i for i, (_, place) in enumerate(choices.rows) if bool(place.after) == begun]
            said = [self._said(asked[choices.rows[i][0]], choices.rows[i][1]) for i in rows]
            params = [
                self._vllm.SamplingParams(
                    temperature=0.0, max_tokens=1, logprob_token_ids=list(choices.rows[i][1].tokens)
                )
                for i in rows
            ]
            found |= zip(rows, self._chat(said, params, begun), strict=True)
        logs = [
            {token: found[i].outputs[0].logprobs[0][token].logprob for token in place.tokens}
            for i, (_, place) in enumerate(choices.rows)
        ]
        return choices.chances(logs, [len(found[i].prompt_token_ids) for i in range(len(logs))])

    def clear(self) -> None:
        """See `Engine`. Its memory is its own."""

    def _said(self, asked: Choose, place: Place) -> Sequence[Message]:
        if not place.after:
            return asked.messages
        return (*asked.messages, Message("assistant", (self._tokenizer.decode(place.after),)))

    def _chat(self, said: Sequence[Sequence[Message]], params: Sequence[Any], begun: bool = False) -> Any:
        """`begun`: the last message is the beginning of the answer."""
        if not said:
            return []
        with self._lock:
            return self._model.chat(
                [[message.wire() for message in messages] for messages in said],
                list(params),
                use_tqdm=False,
                add_generation_prompt=not begun,
                continue_final_message=begun,
            )

    def _encode(self, word: str) -> list[int]:
        return self._tokenizer.encode(word, add_special_tokens=False)
