"""What a check says of one text."""

from typing import NamedTuple


class Finding(NamedTuple):
    """`value` is what the check's column holds (a share, a count, 1.0 for yes); None: nothing to judge.

    `told`: the fault and its place in words that a writer can act on. `hard`: a text may not pass with it.
    """

    check: str
    ok: bool
    value: float | None = None
    told: str = ""
    hard: bool = True
    sentences: tuple[int, ...] = ()
    """Positions of the sentences at fault; empty: the text as a whole."""
