"""What the runtime sets for all conversations of this process; who uses the library can leave it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from thresher.operators.models.chat.memo import Memo, opened
from thresher.schemas.errors import ThresherError

IN_FLIGHT = 16
"""Requests that one process has under way."""


class NotBegun(ThresherError):
    """In place of a record that was not begun because the run stops at the user's word."""


@dataclass(frozen=True)
class Budget:
    """What all processes of a run may use together, before or now; None: as much as they need."""

    tokens: int | None = None
    money: float | None = None

    def check(self, memo: Memo) -> None:
        """Raises ThresherError where it is spent, by what the journals hold now."""
        if self.tokens is None and self.money is None:
            return
        memo.refresh()
        for name, bound, spent in (
            ("tokens", self.tokens, memo.tokens),
            ("money", self.money, round(memo.money, 6)),
        ):
            if bound is not None and spent >= bound:
                raise ThresherError(
                    f"the budget is spent: {spent:,} of {bound:,}",
                    f"budget.{name}",
                    f"Raise `budget.{name}` and run the same command: what was answered is kept",
                )


@dataclass(frozen=True)
class Settings:
    """`memo`: the folder of the journals, or empty: nothing is kept, and no budget counts."""

    in_flight: int = IN_FLIGHT
    memo: str = ""
    budget: Budget = field(default_factory=Budget)
    stop: Callable[[], bool] = lambda: False
    """Whether no other record shall be begun."""

    def opened(self) -> Memo | None:
        """The memo, if there is one."""
        return opened(self.memo) if self.memo else None


_now = Settings()


def configure(settings: Settings) -> None:
    """Set them for this process."""
    global _now
    _now = settings


def current() -> Settings:
    """Those that hold now."""
    return _now
