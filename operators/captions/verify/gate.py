"""Can a verifier be trusted? It is asked once, before its first record, about drawn pictures."""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from thresher.operators.base import Failure
from thresher.operators.captions.taxonomy import Lang, Verdict
from thresher.operators.captions.verify.calibration import Calibration
from thresher.operators.captions.verify.claims import WORDS, answered, question
from thresher.operators.captions.verify.decoys import MOST_YES
from thresher.operators.captions.verify.planted import Planted, planted
from thresher.operators.models.chat.chat import REMEMBERED, Chat, ChatModel, Choice, R, T
from thresher.operators.models.chat.messages import Message
from thresher.schemas.errors import ThresherError
from thresher.schemas.reasons import TRANSIENT

LEAST_YES = 0.7
"""Share of the true statements that it must call true: who is never sure, or cannot be understood, would
empty every caption. Ours."""


class Gate(NamedTuple):
    """How a verifier did; rates are shares of the statements of each kind, 20 and 10 of them."""

    asked: int
    false_yes: int
    """False statements that it called true, sure enough for a verdict."""
    asked_true: int
    false_no: int
    """True statements that it called false, sure enough for a verdict."""
    true_yes: int
    """True statements that it called true, sure enough for a verdict; what cannot be read is no answer."""

    @property
    def trusted(self) -> bool:
        """Neither rate of error is above `MOST_YES` (ours for the second, the same bound), and enough that
        is true was called so."""
        few = self.false_yes <= MOST_YES * self.asked and self.false_no <= MOST_YES * self.asked_true
        return few and self.true_yes >= LEAST_YES * self.asked_true


class Gated:
    """A chat model that is put to the test before its first record; for several threads."""

    def __init__(
        self,
        model: ChatModel,
        prompts: Mapping[str, str],
        verifier: str,
        languages: tuple[Lang, ...],
        calibration: Calibration | None = None,
    ) -> None:
        """`languages`: of the captions. With the calibration that its verdicts will have."""
        self._model, self._prompts, self._verifier = model, prompts, verifier
        self._languages, self._calibration = languages, calibration
        self._gate: Gate | None = None
        self._gate_spent: defaultdict[str, float] = defaultdict(float)
        self._each_spent: deque[Mapping[str, float]] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()

    def each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        """As the model does."""

        async def counted(chat: Chat, item: T) -> R | Failure:
            found = await work(chat, item)
            self._each_spent.append(chat.spent)
            return found

        return self._model.each(items, counted)

    @property
    def spent(self) -> Mapping[str, float]:
        """What the model used, the counts of the gate and what it took as `gate_*` (0 before that), and
        `distrusted`."""
        counts = (self._gate or Gate(0, 0, 0, 0, 0))._asdict()
        took = {name: self._gate_spent[name] for name in self._model.spent}
        gate = {f"gate_{name}": count for name, count in (counts | took).items()}
        return {**self._model.spent, **gate, "distrusted": float(bool(self._gate and not self._gate.trusted))}

    @property
    def each_spent(self) -> Sequence[Mapping[str, float]]:
        """What each record took, without the questions of the gate."""
        return list(self._each_spent)

    def gate(self) -> Gate | ThresherError:
        """How the model did; asked once. An error where it gives no answer now: whom to trust must not hang
        on the weather."""
        with self._lock:
            found = self._gate or self._ask()
            if isinstance(found, Gate):
                self._gate = found
        return found

    def _ask(self) -> Gate | ThresherError:
        asked = planted(self._languages)
        self._gate_spent.clear()
        said: Counter[tuple[bool, Verdict]] = Counter()
        for one, found in zip(asked, self._model.each(asked, self._choose), strict=True):
            if isinstance(found, ThresherError):
                return found
            if isinstance(found, Failure) and found.reason in TRANSIENT:
                what = f"the model did not answer what it is tested with: {found.message}"
                return ThresherError(what, self._verifier, "Run again when it does")
            choice = None if isinstance(found, Failure) else found
            verdict = answered(one.claim, choice, self._verifier, self._calibration).verdict
            said[one.true, verdict] += 1
        true = sum(one.true for one in asked)
        false_yes, false_no, true_yes = (
            said[False, "supported"],
            said[True, "refuted"],
            said[True, "supported"],
        )
        return Gate(len(asked) - true, false_yes, true, false_no, true_yes)

    async def _choose(self, chat: Chat, one: Planted) -> Choice | Failure:
        said = Message("user", (one.picture, question(self._prompts, one.claim)))
        found = await chat.choose([said], WORDS)
        for name, used in chat.spent.items():
            self._gate_spent[name] += used
        return found
