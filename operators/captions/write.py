"""Second half of a model's caption: texts from claims, by a writer that does not see the picture.

What fails a check is written anew once, with the failure told; sentences that fail again are left out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from thresher.operators.base import Failure
from thresher.operators.captions.checks import judged, record_findings, text_findings
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.prompting import filled
from thresher.operators.captions.record import CaptionRecord, Claim, Maker, Text, joined
from thresher.operators.captions.taxonomy import LENGTHS, Lang, Level
from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.messages import Form, Message
from thresher.schemas.reasons import TRANSIENT

LANGUAGE = {"en": "English", "zh": "Chinese"}
_UNITS = {"en": "words", "zh": "Chinese characters"}
_TOKENS = 3
"""Of a reply, for each word of the longest text: words are 1.4, the claims' ids and the form the rest."""
_KINDS: dict[Level, str] = {
    "tags": "a list of tags, each a sentence of one to four words without a full stop",
    "prompt": "what somebody would type into an image generator for this: only the part that matters most",
    "short": "one or two sentences: what it is",
    "medium": "the main things and how they stand to each other",
    "long": "everything that matters, in order",
    "dense": "everything that the claims hold",
}


class WrittenSentence(Form):
    """One sentence and the ids of its claims."""

    text: str
    claims: list[str]


class WrittenText(Form):
    """One caption."""

    level: Level
    sentences: list[WrittenSentence]


class Written(Form):
    """The answer."""

    captions: list[WrittenText]


class Writer:
    """Writes the texts of records. `prompts`: `write` and `rewrite`; `maker` signs them."""

    def __init__(self, levels: Sequence[Level], prompts: Mapping[str, str], maker: Maker) -> None:
        self._levels, self._prompts, self._maker = levels, prompts, maker

    async def write(self, chat: Chat, record: CaptionRecord) -> CaptionRecord | Failure:
        """The record with texts in all its languages, judged. A language that the model does not write is
        abstained from; a Failure where it writes none, or where the server may answer later."""
        failed: list[Failure] = []
        for lang in record.languages:
            answer = await self._ask(chat, self._prompts["write"], record, lang, self._levels)
            if isinstance(answer, Failure):
                failed.append(answer)
            else:
                record = self._with(record, lang, answer)
        if later := _passing(failed):
            return later
        if len(failed) == len(record.languages):
            return failed[0]
        mended = await self._mended(chat, judged(record))
        if isinstance(mended, Failure):
            return mended
        missing = [f"{g}.{v}" for g in mended.languages for v in self._levels if not mended.text(g, v)]
        return mended.model_copy(update={"abstained": (*mended.abstained, *missing)})

    async def rewrite(
        self, chat: Chat, record: CaptionRecord, faults: Mapping[str, Sequence[Finding]]
    ) -> CaptionRecord | Failure:
        """Write texts (id -> what is wrong) anew, each language by itself; judged. What the model does not
        give stays as it is; a Failure where the server may answer later."""
        for lang in record.languages:
            bad = [text for text in record.texts if text.lang == lang and text.id in faults]
            if not bad:
                continue
            told = "\n".join(_refused(text, faults[text.id]) for text in bad)
            prompt, levels = self._prompts["rewrite"], [text.level for text in bad]
            answer = await self._ask(chat, prompt, record, lang, levels, told)
            if not isinstance(answer, Failure):
                record = self._with(record, lang, answer, only={text.level for text in bad})
            elif later := _passing([answer]):
                return later
        return judged(record)

    async def _mended(self, chat: Chat, record: CaptionRecord) -> CaptionRecord | Failure:
        """Failing texts written anew once; sentences that fail again left out."""
        if not (faults := faults_of(record)):
            return record
        again = await self.rewrite(chat, record, faults)
        if isinstance(again, Failure) or not (faults := faults_of(again)):
            return again
        return judged(without_sentences(again, faults))

    async def _ask(
        self,
        chat: Chat,
        prompt: str,
        record: CaptionRecord,
        lang: Lang,
        levels: Sequence[Level],
        faults: str = "",
    ) -> Written | Failure:
        claims = "\n".join(f"{c.id} ({c.field}): {c.text[lang]}" for c in sayable(record, lang))
        wanted = "\n".join(_level(level, lang) for level in levels)
        said = filled(prompt, claims=claims, levels=wanted, language=LANGUAGE[lang], faults=faults)
        tokens = 1024 + _TOKENS * sum(LENGTHS[level][lang].most for level in levels)
        return await chat.fill([Message("user", (said,))], Written, tokens)

    def _with(
        self, record: CaptionRecord, lang: Lang, answer: Written, only: set[Level] | None = None
    ) -> CaptionRecord:
        """The record with the texts of an answer, one for each level that was asked for, in place of those
        it had."""
        known = {claim.id for claim in sayable(record, lang)}
        made: dict[Level, Text] = {}
        for written in answer.captions:
            if written.level not in (only or self._levels) or written.level in made:
                continue
            if said := _claimed(written, known):
                made[written.level] = Text(
                    id=f"{lang}.{written.level}",
                    lang=lang,
                    level=written.level,
                    by=self._maker,
                    **joined(said, lang, tags=written.level == "tags"),
                )
        kept = [t for t in record.texts if t.lang != lang or t.level not in made]
        return record.model_copy(update={"texts": (*kept, *made.values())})


def _passing(failed: Sequence[Failure]) -> Failure | None:
    """A failure that another run may not meet."""
    return next((failure for failure in failed if failure.reason in TRANSIENT), None)


def sayable(record: CaptionRecord, lang: Lang) -> list[Claim]:
    """The claims that a text may make: those that nothing refutes."""
    return [claim for claim in record.claims if lang in claim.text and claim.verdict != "refuted"]


def _claimed(written: WrittenText, known: Collection[str]) -> list[tuple[str, list[str]]]:
    """The sentences that name a claim, each with those that there are."""
    said = [(" ".join(s.text.split()), s.claims) for s in written.sentences]
    found = [(text, [claim for claim in dict.fromkeys(claims) if claim in known]) for text, claims in said]
    return [(text, claims) for text, claims in found if text and claims]


def faults_of(record: CaptionRecord) -> dict[str, list[Finding]]:
    """Text id -> what is wrong with it. A text that only disagrees with one of its level that is wrong by
    itself is left alone: mending that one may mend both."""
    failing = [text for text in record.texts if text.level != "raw" and text.status != "pass"]
    own = {text.id: _hard(text_findings(record, text)) for text in failing}
    broken = {text.level for text in failing if own[text.id]}
    between = _hard(record_findings(record))
    faults = {}
    for text in failing:
        if own[text.id] or text.level not in broken:
            faults[text.id] = own[text.id] + [finding for finding in between if finding.check in text.fails]
    return faults


def _hard(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.hard and not finding.ok]


def without_sentences(record: CaptionRecord, faults: Mapping[str, Sequence[Finding]]) -> CaptionRecord:
    """Texts without the sentences at fault; those whose fault lies in no sentence stay."""
    texts = []
    for text in record.texts:
        bad = {place for finding in faults.get(text.id, ()) for place in finding.sentences}
        kept = [(said.strip(" ,、"), claims) for i, (said, claims) in enumerate(text.parts()) if i not in bad]
        if not bad or not kept:
            texts.append(text)
            continue
        texts.append(text.model_copy(update=joined(kept, text.lang, tags=text.level == "tags")))
    return record.model_copy(update={"texts": tuple(texts)})


def _level(level: Level, lang: Lang) -> str:
    bounds = LENGTHS[level][lang]
    unit = "tags" if level == "tags" else _UNITS[lang]
    return f"- {level}: {_KINDS[level]}; {bounds.least} to {bounds.most} {unit}"


def _refused(text: Text, findings: Sequence[Finding]) -> str:
    wrong = "; ".join(finding.told or finding.check for finding in findings)
    return f"- {text.level}: {text.text}\n  wrong: {wrong}"
