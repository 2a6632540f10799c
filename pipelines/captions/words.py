"""Words of captions where only their number and order matter: a Han character counts as one."""

import re

_WORD = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3400-\u4dbf\u4e00-\u9fff]+(?:['’][^\W_]+)?")
OPENING = 5
"""A pool in which many captions begin with the same so many words is written by a template."""


def words(text: str) -> list[str]:
    """Words, in lower case, without punctuation."""
    return _WORD.findall(text.casefold())


def opening(text: str) -> str | None:
    """The first five words; None if there are fewer."""
    found = words(text)[:OPENING]
    return " ".join(found) if len(found) == OPENING else None
