"""Captions of several pictures together: what they share and what only one of them shows, each referred to by
its position. Every statement is asked of every picture before it is used."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from thresher.operators.base import Failure
from thresher.operators.captions.difference import checking
from thresher.operators.captions.difference.diff import LANGUAGES, describe
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.reason.judging import holds
from thresher.operators.captions.record import Part
from thresher.operators.captions.taxonomy import Lang
from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.messages import Form, Message

MULTI_PROMPTS = ("diff_describe", "multi_compare", "multi_verify", "multi_write")
_TOKENS = 1024
_POSITION: dict[Lang, str] = {"en": "picture {}", "zh": "图{}"}
"""How a caption refers to a picture, counted from 1."""


class Single(Form):
    """What only the picture at that position shows, counted from 1."""

    picture: int
    text: str


class Compared(Form):
    """What all pictures show, and what only one does."""

    common: list[str]
    single: list[Single]


class Written(Form):
    """A caption of them all."""

    caption: str


class Statement(Part):
    """`picture`: the position, from 1, of the only one that shows it; None: all do. `p`: the probability of
    yes for each picture; `seen`: they bear it out."""

    text: str
    picture: int | None = None
    p: tuple[float, ...] = ()
    seen: bool = False


class Multi(Part):
    """Captions of each picture, the statements, and one caption of all in each language."""

    captions: tuple[str, ...]
    statements: tuple[Statement, ...] = ()
    texts: dict[Lang, str] = Field(default_factory=dict)
    status: Literal["pass", "fail"] = "pass"
    fails: tuple[str, ...] = ()


async def multi(
    chat: Chat, pictures: Sequence[bytes], languages: Sequence[Lang], texts: Mapping[str, str]
) -> Multi | Failure:
    """A caption of two pictures or more together, as JPEG. `texts`: those of `MULTI_PROMPTS`."""
    captions: list[str] = []
    for picture in pictures:
        described = await describe(chat, picture, languages[0], texts)
        if isinstance(described, Failure):
            return described
        captions.append(described)
    told = [f"Language: {LANGUAGES[languages[0]]}"]
    told += [f"Caption of picture {i}: {caption}" for i, caption in enumerate(captions, 1)]
    said = [Message("user", (*pictures, texts["multi_compare"], "\n".join(told)))]
    compared = await chat.fill(said, Compared, 2 * _TOKENS)
    if isinstance(compared, Failure):
        return compared
    claimed = [Statement(text=text) for text in compared.common]
    claimed += [
        Statement(text=one.text, picture=one.picture)
        for one in compared.single
        if 1 <= one.picture <= len(pictures)
    ]
    statements: list[Statement] = []
    for statement in claimed:
        verified = await _verified(chat, pictures, statement, texts)
        if isinstance(verified, Failure):
            return verified
        statements.append(verified)
    made = Multi(captions=tuple(captions), statements=tuple(statements))
    return await _written(chat, made, languages, texts)


async def _verified(
    chat: Chat, pictures: Sequence[bytes], statement: Statement, texts: Mapping[str, str]
) -> Statement | Failure:
    """What all share must hold of each; what one alone shows must hold of it and of no other."""
    p, seen = [], True
    for position, picture in enumerate(pictures, 1):
        judged = await holds(chat, texts["multi_verify"], statement.text, picture)
        if isinstance(judged, Failure):
            return judged
        wanted = "supported" if statement.picture in (None, position) else "refuted"
        p.append(judged.p)
        seen &= judged.verdict == wanted
    return statement.model_copy(update={"p": tuple(p), "seen": seen})


async def _written(
    chat: Chat, made: Multi, languages: Sequence[Lang], texts: Mapping[str, str]
) -> Multi | Failure:
    """The captions, of the statements that were seen; each is asked for once again where a check fails."""
    seen = [statement for statement in made.statements if statement.seen]
    positions = sorted({statement.picture for statement in seen if statement.picture})
    if not seen:
        return made.model_copy(update={"status": "fail", "fails": ("nothing_seen",)})
    held = [statement.text for statement in seen]
    found: dict[Lang, str] = {}
    fails: list[str] = []
    for lang in languages:
        told = [f"Language: {LANGUAGES[lang]}", f"Call them: {_POSITION[lang].format('N')}"]
        told += [f"- {f'picture {s.picture} alone' if s.picture else 'all'}: {s.text}" for s in seen]
        for attempt in (1, 2):
            said = [Message("user", (texts["multi_write"], "\n".join(told)))]
            written = await chat.fill(said, Written, _TOKENS)
            if isinstance(written, Failure):
                return written
            caption = written.caption.strip()
            wrong = _faults(caption, lang, held, positions, len(made.captions))
            if not wrong or attempt == 2:
                break
            told.append(checking.told(wrong))
        if wrong:
            fails += [fault.check for fault in wrong]
        else:
            found[lang] = caption
    status: Literal["pass", "fail"] = "fail" if fails else "pass"
    return made.model_copy(update={"texts": found, "status": status, "fails": tuple(dict.fromkeys(fails))})


def _faults(caption: str, lang: Lang, held: Sequence[str], named: Sequence[int], n: int) -> list[Finding]:
    """Beside those of all texts: it names the positions. These, and how many pictures there are, are numbers
    that no statement says; as long as an instruction for each picture."""
    missing = [f"picture {position}" for position in named if not _named(caption, lang, position)]
    unnamed = [Finding("position", False, told=f"it does not name {', '.join(missing)}")] if missing else []
    known = [*held, *map(str, range(1, n + 1))]
    return unnamed + checking.faults(caption, lang, known, n * checking.MOST_WORDS[lang])


def _named(caption: str, lang: Lang, position: int) -> bool:
    name = re.escape(_POSITION[lang].format(position))
    return bool(re.search(rf"{name}(?!\d)", caption, re.IGNORECASE))
