"""Decoys: claims that are false of a record's picture, asked among the others. Yes to one is a false yes.

A decoy is usually a claim of another picture. A Measure sees one record at a time, and what it gives must
not depend on which others are about, so half are drawn from a fixed list of what is in hardly any picture,
and half are the record's own claims made false by rule (another count, colour or noun): these are the hard
ones, as everything else in them fits. Which ones is a hash of the record's id.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from thresher.operators.captions.language.colours import word
from thresher.operators.captions.language.numbers import en_number, zh_number
from thresher.operators.captions.record import CaptionRecord, Claim, Value
from thresher.operators.captions.taxonomy import Lang

SHARE = 0.1
"""Decoys for each claim that is asked (images.md 6.3)."""
MOST_YES = 0.1
"""Share of decoys that a verifier may say yes to (images.md 6.3)."""

_RARE = (
    ("penguin", "企鹅"), ("zebra", "斑马"), ("submarine", "潜水艇"), ("accordion", "手风琴"),
    ("igloo", "冰屋"), ("kangaroo", "袋鼠"), ("jellyfish", "水母"), ("camel", "骆驼"), ("unicycle", "独轮车"),
    ("walrus", "海象"), ("windmill", "风车"), ("saxophone", "萨克斯管"), ("snowmobile", "雪地摩托"),
    ("parachute", "降落伞"), ("harp", "竖琴"), ("flamingo", "火烈鸟"), ("tractor", "拖拉机"),
    ("sombrero", "墨西哥宽边帽"), ("gondola", "贡多拉"), ("cannon", "大炮"),
)  # fmt: skip
_SIGNS = ("QUINCE & DAUGHTERS", "FERRY 4711", "ZUM KROKODIL", "NO FISHING 1873")
_OTHER_COLOUR = {
    "red": "green", "green": "purple", "blue": "orange", "yellow": "purple", "orange": "blue",
    "purple": "yellow", "white": "black", "black": "white", "brown": "blue", "pink": "green", "grey": "red",
}  # fmt: skip
"""A colour -> one that is not taken for it."""
_MOST = 10
"""Things in a claim whose count is changed."""
_MORE = 6
"""By so much a made-up count is off: nobody miscounts a few things by that."""
MADE_OF = (SHARE, _RARE, _SIGNS, _OTHER_COLOUR, _MOST, _MORE)
"""All that decoys are made of, for the revision."""


class _Kinds(NamedTuple):
    own: list[Claim]
    foreign: list[Claim]


def decoys(record: CaptionRecord, asked: int, record_id: bytes) -> list[Claim]:
    """About `SHARE` x `asked` claims that are false of the record's picture, the same for the same id.

    The fraction is rounded up or down by the id, so that the share is right over a table.
    """
    wanted = SHARE * asked
    number = int(wanted) + (_draw(record_id, "number", 1 << 20) / (1 << 20) < wanted % 1)
    kinds = _Kinds(list(_own(record, record_id)), list(_foreign(record)))
    chosen: list[Claim] = []
    for i in range(number):
        first, second = kinds if _draw(record_id, f"kind {i}", 2) else kinds[::-1]
        if pool := first or second:
            chosen.append(pool.pop(_draw(record_id, f"claim {i}", len(pool))))
    return chosen


def _foreign(record: CaptionRecord) -> Iterator[Claim]:
    """What is in hardly any picture, but for what this record speaks of."""
    said = _all_words(record)
    for en, zh in _RARE:
        if en not in said and zh not in said:
            texts: dict[Lang, str] = {"en": f"There is a {en} in the picture.", "zh": f"画面中有{zh}。"}
            yield _decoy(record, "primary.noun", texts)
    for sign in _SIGNS:
        if sign.lower() not in said:
            texts = {"en": f"The picture shows the words “{sign}”.", "zh": f"画面上写有“{sign}”。"}
            yield _decoy(record, "ocr", texts)


def _own(record: CaptionRecord, record_id: bytes) -> Iterator[Claim]:
    """The record's claims with one thing changed to what is false; those that cannot be are left out."""
    said = _all_words(record)
    nouns = [en for en, zh in _RARE if en not in said and zh not in said]
    for claim in record.claims:
        value = claim.value
        if value is None or claim.verdict == "refuted":
            continue
        noun = nouns[_draw(record_id, claim.id, len(nouns))] if nouns else ""
        for texts in (_counted(claim, value), _coloured(claim, value, said), _renamed(claim, value, noun)):
            if texts:
                yield _decoy(record, claim.field, texts)


def _counted(claim: Claim, value: Value) -> dict[Lang, str]:
    count = value.count
    made: dict[Lang, str] = {}
    if count is None or not 0 < count <= _MOST:
        return {}
    words = {"en": rf"\b({en_number(count)}|{count})\b", "zh": rf"{zh_number(count)}|(?<!\d){count}(?!\d)"}
    for lang, text in claim.text.items():
        changed, times = re.subn(words[lang], str(count + _MORE), text, flags=re.IGNORECASE)
        if times == 1:
            made[lang] = changed
    return made


def _coloured(claim: Claim, value: Value, said: str) -> dict[Lang, str]:
    """With another colour, unless that is in the record too."""
    colour = (value.colour or "").strip().lower().replace("gray", "grey")
    made: dict[Lang, str] = {}
    for old, new in _OTHER_COLOUR.items():
        old_zh, new_zh = (word(name, "zh").removesuffix("色") for name in (old, new))
        if colour not in (old, old_zh, f"{old_zh}色") or new in said or new_zh in said:
            continue
        spelt = old.replace("grey", "gr[ae]y")
        for lang, text in claim.text.items():
            pattern, instead = (rf"\b{spelt}\b", new) if lang == "en" else (old_zh, new_zh)
            changed, times = re.subn(pattern, instead, text, flags=re.IGNORECASE)
            if times == 1:
                made[lang] = changed
    return made


def _renamed(claim: Claim, value: Value, noun: str) -> dict[Lang, str]:
    """With another noun; in English alone, as the label is."""
    label = (value.label or "").strip()
    if not (label and noun and claim.field.endswith("noun") and "en" in claim.text):
        return {}
    changed, times = re.subn(
        rf"\b{re.escape(label)}(e?s)?\b",
        lambda found: noun + ("s" if found[1] else ""),
        claim.text["en"],
        flags=re.IGNORECASE,
    )
    return {"en": changed} if times == 1 else {}


def _decoy(record: CaptionRecord, field: str, texts: dict[Lang, str]) -> Claim:
    spoken = {lang: text for lang, text in texts.items() if lang in record.languages} or texts
    return Claim.model_validate({"id": "decoy", "field": field, "text": spoken})


def _all_words(record: CaptionRecord) -> str:
    facts = record.facts
    texts = [text for claim in record.claims for text in claim.text.values()]
    texts += [text.text for text in record.texts]
    texts += [thing.label for thing in facts.objects] + [str(one.value) for one in facts.measured]
    texts += [line.text for line in facts.ocr] + [meta.text for meta in facts.meta]
    return "\n".join(texts).lower()


def _draw(record_id: bytes, what: str, below: int) -> int:
    """A number from 0 to `below` - 1 that hangs on the record and on what it is for."""
    digest = hashlib.blake2b(what.encode(), key=b"decoy" + record_id, digest_size=8).digest()
    return int.from_bytes(digest, "big") % below
