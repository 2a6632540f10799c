"""Captions from facts alone: what was measured, and nothing else."""

from collections.abc import Iterator, Sequence

from thresher.operators.captions.checks import text_findings
from thresher.operators.captions.facts.contents import contents
from thresher.operators.captions.facts.looks import looks
from thresher.operators.captions.facts.statement import TOPICS, Statement, listed
from thresher.operators.captions.language.words import count, stopped
from thresher.operators.captions.record import CaptionRecord, Claim, Facts, Maker, Text, joined
from thresher.operators.captions.taxonomy import LENGTHS, WRITTEN, Lang, Level

BACKEND = "facts"
REVISION = "3"
"""Of the wording; it changes with any text that the same facts give."""
SOURCES = 10
"""Rank from which a statement is of use to long and dense captions alone."""
PROMPT = 2.9
"""Below it, of use to prompts."""
FILL = 7
"""From it on, of use to short captions that are still too short."""
ALONE = ("tags", "prompt")
"""Levels that build on no other."""
FULL = ("long", "dense")
"""Levels that must say more than the one before."""
TOGETHER = {"colour": 6, "place": 3, "tone": 3, "things": 4, "text": 4}
"""Statements in one sentence at most; of other topics, one."""
PICTURE: dict[Lang, str] = {"en": "picture", "zh": "图片"}
"""Where its kind is not known."""

Said = tuple[str, tuple[str, ...]]
"""A sentence, and the ids of its claims."""
Chosen = dict[str, Statement]
"""Claim id -> statement."""


def fact_record(facts: Facts, languages: Sequence[Lang], levels: Sequence[Level]) -> CaptionRecord:
    """A record whose every claim repeats a fact, with the texts of those levels that its claims can fill.

    A level says more than the one before it, and the same in every language. One that the claims do not fill,
    or whose text a check of texts would fail, is left out, and `abstained` holds its name (`en.dense`). `raw`
    is not written. Deterministic.
    """
    known = {fact.column: fact.value for fact in facts.measured}
    made = [*looks(facts, known), *contents(facts, known)]
    stated: Chosen = {f"c{i}": s for i, s in enumerate((s for s in made if s.p >= s.bound), 1)}
    claims = tuple(_claim(name, statement, languages) for name, statement in stated.items())
    record = CaptionRecord(languages=tuple(languages), facts=facts, claims=claims)
    texts: list[Text] = []
    abstained: list[str] = []
    chosen: Chosen = {}
    for level in WRITTEN:  # all, so that no text depends on which others are asked for
        taken = _taken({} if level in ALONE else chosen, stated, level, languages)
        more = level not in FULL or taken != chosen
        chosen = chosen if level in ALONE else taken
        for lang in languages if level in levels else ():
            text = _text(f"t{len(texts) + 1}", taken, lang, level)
            if more and not any(found.hard and not found.ok for found in text_findings(record, text)):
                texts.append(text)
            else:
                abstained.append(f"{lang}.{level}")
    return record.model_copy(update={"texts": tuple(texts), "abstained": tuple(abstained)})


def _text(name: str, chosen: Chosen, lang: Lang, level: Level) -> Text:
    held = joined(_rendered(chosen, lang, level), lang, level == "tags")
    words = count(held["text"], lang, level)
    by = Maker(model=BACKEND, revision=REVISION)
    return Text(id=name, lang=lang, level=level, words=words, by=by, **held)


def _claim(name: str, statement: Statement, languages: Sequence[Lang]) -> Claim:
    return Claim(
        id=name, field=statement.field, text={lang: statement.words(lang).claim for lang in languages},
        key_points=statement.key_points, value=statement.value, provenance=statement.provenance,
        verdict="supported", p=statement.p, t=statement.bound, verifier=BACKEND,
    )  # fmt: skip


def _taken(begun: Chosen, stated: Chosen, level: Level, languages: Sequence[Lang]) -> Chosen:
    """The statements of a level: those begun with, then by rank as many as fit in every language."""
    taken = dict(begun)
    for name, statement in sorted(stated.items(), key=lambda item: item[1].rank):
        if name in taken or not _fitting(statement, level):
            continue
        if level == "short" and statement.rank >= FILL and _filled(taken, level, languages):
            break
        longer = {other: stated[other] for other in stated if other in taken or other == name}
        if all(_size(longer, lang, level) <= LENGTHS[level][lang].most for lang in languages):
            taken = longer
    return taken


def _filled(chosen: Chosen, level: Level, languages: Sequence[Lang]) -> bool:
    return all(_size(chosen, lang, level) >= LENGTHS[level][lang].least for lang in languages)


def _size(chosen: Chosen, lang: Lang, level: Level) -> int:
    return count(joined(_rendered(chosen, lang, level), lang, level == "tags")["text"], lang, level)


def _fitting(statement: Statement, level: Level) -> bool:
    if level == "tags":
        return bool(statement.en.tag)
    if level == "prompt":
        return bool(statement.en.brief) and statement.rank < PROMPT
    if level == "short":
        return bool(statement.en.brief)
    return level in ("long", "dense") or statement.rank < SOURCES


def _rendered(chosen: Chosen, lang: Lang, level: Level) -> list[Said]:
    if level == "tags":
        ordered = sorted(chosen.items(), key=lambda item: item[1].rank)
        return [(s.words(lang).tag, (name,)) for name, s in ordered]
    if not chosen:
        return []
    if level in ("prompt", "short"):
        said = _one(chosen, lang)
        if level == "short":
            said = stopped(_sentence(f"{_article(said)} {said}") if lang == "en" else said, lang)
        return [(said, tuple(chosen))]
    return [*_opening(chosen, lang), *_paragraph(chosen, lang)]


def _one(chosen: Chosen, lang: Lang) -> str:
    """`wide colour photo, mainly blue, with high contrast`, `横幅彩色照片，以蓝色为主，明暗对比强烈`."""
    colours = [s.words(lang).brief for s in chosen.values() if s.topic == "colour"]
    others = [s.words(lang).brief for s in chosen.values() if s.topic not in ("frame", "colour")]
    said = _noun_phrase(chosen, lang)
    if lang == "zh":
        return "，".join([said, *([f"以{listed(colours, lang)}为主"] if colours else []), *others])
    said += f", mainly {listed(colours, lang)}" if colours else ""
    return said + (("," if colours else "") + f" with {listed(others, lang)}" if others else "")


def _noun_phrase(chosen: Chosen, lang: Lang) -> str:
    """`small wide colour photo`, `小尺寸横幅彩色照片`: the frame's words, the kind of picture last."""
    frame = [s for s in chosen.values() if s.topic == "frame"]
    said = [s.words(lang).brief for s in frame if s.en.brief]
    known = any(s.value for s in frame)
    return {"en": " ", "zh": ""}[lang].join([*said, *([] if known else [PICTURE[lang]])])


def _opening(chosen: Chosen, lang: Lang) -> Iterator[Said]:
    """`This is a wide colour photo of 640 by 427 pixels.`"""
    frame = {name: s for name, s in chosen.items() if s.topic == "frame"}
    sizes = [s.words(lang).more for s in frame.values() if s.en.more]
    said = _noun_phrase({name: s for name, s in frame.items() if not s.en.more}, lang)
    if not frame:
        return
    if lang == "zh":
        yield "，".join([f"这是{said}", *sizes]) + "。", tuple(frame)
    else:
        yield " ".join([f"This is {_article(said).lower()} {said}", *sizes]) + ".", tuple(frame)


def _paragraph(chosen: Chosen, lang: Lang) -> Iterator[Said]:
    """The other topics, with what belongs together in one sentence."""
    for group in _groups(chosen):
        first, *more = [chosen[name].words(lang) for name in group]
        clauses = [first.claim, *(words.more or words.claim for words in more)]
        nouns = chosen[group[0]].topic in ("things", "text")
        zh_comma = "、" if nouns else "，"
        said = zh_comma.join(clauses) if lang == "zh" else _sentence(listed(clauses, lang))
        yield stopped(said, lang), tuple(group)


def _groups(chosen: Chosen) -> Iterator[list[str]]:
    """Claim ids by sentence: of one topic, text also of one place, and no more than `TOGETHER` has."""
    for topic in TOPICS[1:]:
        places: dict[str | None, list[str]] = {}
        for name, statement in chosen.items():
            if statement.topic == topic:
                place = statement.value.position if topic == "text" and statement.value else None
                places.setdefault(place, []).append(name)
        size = TOGETHER.get(topic, 1)
        yield from (held[i : i + size] for held in places.values() for i in range(0, len(held), size))


def _article(noun: str) -> str:
    return "An" if noun[0] in "aeiou" else "A"


def _sentence(said: str) -> str:
    return said[0].upper() + said[1:]
