"""What texts about several pictures must pass: the checks of captions that need no caption record, and that
they say nothing beyond the statements that the pictures bore out."""

from collections.abc import Sequence

from thresher.operators.captions.checks.form import refusal
from thresher.operators.captions.checks.language import language
from thresher.operators.captions.checks.ocr import plain
from thresher.operators.captions.checks.pii import pii
from thresher.operators.captions.checks.repetition import repetition
from thresher.operators.captions.checks.style import boilerplate, objective
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language import colours, numbers
from thresher.operators.captions.language.words import count, quotes, unquoted
from thresher.operators.captions.record import Text
from thresher.operators.captions.taxonomy import Lang

MOST_WORDS: dict[Lang, int] = {"en": 60, "zh": 100}
"""An instruction is concise: no longer than this, in words or Han characters. Ours."""
LEAST_WORDS = 2
"""`Remove cat` is an instruction. Ours."""


def faults(said: str, lang: Lang, held: Sequence[str], most: int) -> list[Finding]:
    """What is wrong with a text. `held`: the statements that it may say, in any language; `most`: words or
    Han characters. Whatever fails here fails the text, also what is only flagged in captions."""
    text = Text(id="text", lang=lang, level="long", text=said)  # opinions are judged in long texts
    size = count(said, lang, "short")
    found = [
        Finding("length", LEAST_WORDS <= size <= most, size / most, f"{size} words; {LEAST_WORDS} to {most}"),
        _quoted(said, held),
        _grounded(said, lang, " . ".join(held)),
        refusal(text.model_copy(update={"level": "tags"})),  # no fewest words beside ours
        *(check(text) for check in (language, repetition, objective, boilerplate, pii)),
    ]
    return [finding for finding in found if not finding.ok]


def told(found: Sequence[Finding]) -> str:
    """The faults for whoever writes anew."""
    return "Your last attempt was rejected: " + "; ".join(f"{one.check}: {one.told}" for one in found)


def _quoted(said: str, held: Sequence[str]) -> Finding:
    known = {plain(quote) for one in held for quote in quotes(one)}
    wrong = [quote for quote in quotes(said) if plain(quote) not in known]
    return Finding("text_rendering", not wrong, told=f"no statement quotes {', '.join(map(repr, wrong))}")


def _grounded(said: str, lang: Lang, held: str) -> Finding:
    """Numbers and colours, as in captions: what the text surely says, no statement may be read to say. From
    one dog to three, two were added."""
    counts = numbers.possible(held)
    added = {abs(one - other) for one in counts | {1.0} for other in counts}
    wrong = [f"{number:g}" for number in sorted(numbers.sure(said, lang) - counts - added)]
    wrong += colours.unsaid(unquoted(said), colours.possible(held))
    return Finding("grounded", not wrong, told=f"no statement says {', '.join(wrong)}")
