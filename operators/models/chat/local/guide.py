"""What a model may write next: tokens that keep to a JSON schema, by xgrammar; or given ones."""

import json
from collections.abc import Sequence
from typing import Any

from thresher.operators.models.chat.messages import Form


class Grammars:
    """The schemas of forms as grammars over one tokenizer, compiled once each. `ends`: tokens that end a
    reply; `size`: of the model's vocabulary, which may be larger than the tokenizer's."""

    def __init__(self, tokenizer: Any, size: int, ends: Sequence[int]) -> None:
        import xgrammar

        known = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=size, stop_token_ids=list(ends))
        self._compiler = xgrammar.GrammarCompiler(known)
        self._size = size

    def guide(self, forms: Sequence[type[Form]]) -> "Guide":
        """For one batch: a form for each row."""
        import xgrammar

        compiled = [self._compiled(form) for form in forms]
        return Guide(
            [xgrammar.GrammarMatcher(one) for one in compiled],
            xgrammar.allocate_token_bitmask(len(compiled), self._size),
        )

    def _compiled(self, form: type[Form]) -> Any:
        """From the compiler's cache after the first time. Without free whitespace, of which a reply could
        have any amount."""
        return self._compiler.compile_json_schema(json.dumps(form.model_json_schema()), any_whitespace=False)


class Guide:
    """A logits processor: the tokens that a row's grammar does not allow become impossible."""

    def __init__(self, matchers: list[Any], mask: Any) -> None:
        self._matchers, self._mask, self._begun = matchers, mask, False

    def __call__(self, written: Any, scores: Any) -> Any:
        """`written`: int (rows, so far); `scores`: float (rows, vocabulary), changed in place."""
        import xgrammar

        going = [row for row, token in enumerate(written[:, -1].tolist()) if self._goes_on(row, token)]
        self._begun = True
        for row in going:
            self._matchers[row].fill_next_token_bitmask(self._mask, row)
        if going:
            xgrammar.apply_token_bitmask_inplace(scores, self._mask.to(scores.device), indices=going)
        return scores

    def _goes_on(self, row: int, token: int) -> bool:
        """Whether a row's reply is not at its end; behind that is padding."""
        matcher = self._matchers[row]
        if self._begun and not matcher.is_terminated():
            matcher.accept_token(token)
        return not matcher.is_terminated()


class Forced:
    """A logits processor that makes each row write given tokens; what comes after them is free."""

    def __init__(self, prompt: int, tokens: Sequence[Sequence[int]]) -> None:
        self._prompt, self._tokens = prompt, tokens

    def __call__(self, written: Any, scores: Any) -> Any:
        """A changed copy: the scores themselves are what is asked for."""
        step, scores = written.shape[1] - self._prompt, scores.clone()
        for row, tokens in enumerate(self._tokens):
            if step < len(tokens):
                scores[row] = float("-inf")
                scores[row, tokens[step]] = 0.0
        return scores
