"""Difference captions in three steps (Z-Image, arXiv 2511.22699): describe both pictures, list what differs,
say it as one instruction, and its inverse. Before the last step, each change is asked of both pictures."""

from collections.abc import Mapping, Sequence
from typing import Literal

from thresher.operators.base import Failure
from thresher.operators.captions.difference import checking
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.reason.thought import mention
from thresher.operators.captions.record import Part
from thresher.operators.captions.taxonomy import SURE_ELSE, Lang
from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.messages import Form, Message

DIFF_PROMPTS = ("diff_describe", "diff_list", "diff_verify", "diff_instruct")
LANGUAGES: dict[Lang, str] = {"en": "English", "zh": "Chinese (simplified)"}
_TOKENS = 1024
_WHICH = ("first", "second", "neither")


class Described(Form):
    """What is written in a picture, then what it shows."""

    written: list[str]
    caption: str


class Pair(Form):
    """A statement that is true of the first picture alone, and what is true of the second in its place."""

    before: str
    after: str


class Listed(Form):
    """All differences between two pictures."""

    differences: list[Pair]


class Instructed(Form):
    """What to ask for to get from the first picture to the second, and back."""

    instruction: str
    inverse: str


class Change(Part):
    """A difference. `p_before`, `p_after`: how probable it is that the first picture shows `before` and the
    second `after`, where each is asked alone; `seen`: both hold."""

    before: str
    after: str
    p_before: float
    p_after: float
    seen: bool


class Instruction(Part):
    """A change in a user's words, forth and back. `fails`: checks that it failed."""

    lang: Lang
    forth: str
    back: str
    status: Literal["pass", "fail"] = "pass"
    fails: tuple[str, ...] = ()


class Difference(Part):
    """Two pictures compared: captions of both, every claimed change, and the instructions for those seen."""

    captions: tuple[str, str]
    changes: tuple[Change, ...] = ()
    instructions: tuple[Instruction, ...] = ()

    @property
    def seen(self) -> list[Change]:
        """The changes that both pictures bear out."""
        return [change for change in self.changes if change.seen]


async def difference(
    chat: Chat, pictures: tuple[bytes, bytes], languages: Sequence[Lang], texts: Mapping[str, str]
) -> Difference | Failure:
    """The difference of a source and a target, as JPEG. `texts`: those of `DIFF_PROMPTS`. Changes are stated
    in the first of `languages`; where none is seen, there are no instructions."""
    captions = []
    for picture in pictures:
        described = await describe(chat, picture, languages[0], texts)
        if isinstance(described, Failure):
            return described
        captions.append(described)
    told = "\n".join(
        [f"First caption: {captions[0]}", f"Second caption: {captions[1]}", _language(languages[0])]
    )
    listed = await chat.fill([Message("user", (*pictures, texts["diff_list"], told))], Listed, 2 * _TOKENS)
    if isinstance(listed, Failure):
        return listed
    changes: list[Change] = []
    for pair in listed.differences:
        change = await _verified(chat, pictures, pair, texts)
        if isinstance(change, Failure):
            return change
        changes.append(change)
    made = Difference(captions=(captions[0], captions[1]), changes=tuple(changes))
    instructions: list[Instruction] = []
    for lang in languages if made.seen else ():
        instruction = await _instruction(chat, made, lang, texts)
        if isinstance(instruction, Failure):
            return instruction
        instructions.append(instruction)
    return made.model_copy(update={"instructions": tuple(instructions)})


async def describe(chat: Chat, picture: bytes, lang: Lang, texts: Mapping[str, str]) -> str | Failure:
    """A caption of a JPEG, for which the model first reads the words in the picture."""
    said = [Message("user", (picture, texts["diff_describe"], _language(lang)))]
    found = await chat.fill(said, Described, _TOKENS)
    return found if isinstance(found, Failure) else found.caption.strip()


async def _verified(
    chat: Chat, pictures: tuple[bytes, bytes], pair: Pair, texts: Mapping[str, str]
) -> Change | Failure:
    """Each picture alone is asked which of the two statements is true of it."""
    told = f"First statement: {pair.before}\nSecond statement: {pair.after}"
    p = []
    for picture, answer in zip(pictures, _WHICH, strict=False):
        choice = await chat.choose([Message("user", (picture, texts["diff_verify"], told))], _WHICH)
        if isinstance(choice, Failure):
            return choice
        p.append(choice.p.get(answer, 0.0))
    return Change(before=pair.before, after=pair.after, p_before=p[0], p_after=p[1], seen=min(p) >= SURE_ELSE)


async def _instruction(
    chat: Chat, made: Difference, lang: Lang, texts: Mapping[str, str]
) -> Instruction | Failure:
    """Asked for once again where a check fails."""
    told = [_language(lang), *(f"- before: {c.before}\n  after: {c.after}" for c in made.seen)]
    held = [side for change in made.seen for side in (change.before, change.after)]
    for attempt in (1, 2):
        said = [Message("user", (texts["diff_instruct"], "\n".join(told)))]
        written = await chat.fill(said, Instructed, _TOKENS)
        if isinstance(written, Failure):
            return written
        forth, back = written.instruction.strip(), written.inverse.strip()
        wrong = [fault for text in (forth, back) for fault in _faults(text, lang, held)]
        if not wrong or attempt == 2:
            break
        told.append(checking.told(wrong))
    fails = tuple(dict.fromkeys(fault.check for fault in wrong))
    return Instruction(lang=lang, forth=forth, back=back, status="fail" if fails else "pass", fails=fails)


def _faults(text: str, lang: Lang, held: Sequence[str]) -> list[Finding]:
    """Beside those of all texts: an instruction speaks of no picture."""
    words = mention(text, lang, " . ".join(held))
    spoken = [Finding("target_mention", False, told=f"{words!r} speaks of a picture")] if words else []
    return spoken + checking.faults(text, lang, held, checking.MOST_WORDS[lang])


def _language(lang: Lang) -> str:
    return f"Language: {LANGUAGES[lang]}"
