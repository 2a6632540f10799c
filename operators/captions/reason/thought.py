"""Thoughts in one of five patterns, each with a form that can be checked in the text itself."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from thresher.operators.captions.taxonomy import Lang

Pattern = Literal["monologue", "decomposition", "self-ask", "debate", "critique"]
Role = Literal[
    "thought", "step", "question", "answer", "first", "second", "verdict", "draft", "critique", "revision"
]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)

MARKS: dict[Lang, dict[Role, str]] = {
    "en": {
        "question": "Q: ", "answer": "A: ", "first": "First voice: ", "second": "Second voice: ",
        "verdict": "Verdict: ", "draft": "Draft: ", "critique": "Critique: ", "revision": "Revision: ",
    },
    "zh": {
        "question": "问：", "answer": "答：", "first": "甲：", "second": "乙：",
        "verdict": "结论：", "draft": "初稿：", "critique": "批评：", "revision": "修改：",
    },
}  # fmt: skip
"""What a line of a thought begins with; a step begins with its number, a plain thought with nothing."""

_SHAPES: dict[Pattern, tuple[str, str]] = {
    "monologue": (r"(thought )+", "it must be plain sentences"),
    "decomposition": (r"(step ){2,}", "it must be two numbered steps or more"),
    "self-ask": (r"(question answer )+", "it must be questions, each followed by its answer"),
    "debate": (
        r"(first second )+(first )?verdict ",
        "it must be two voices in turn, and a verdict at the end",
    ),
    "critique": (r"draft (critique revision )+", "it must be a draft, a critique and a revision"),
}
_STEP = re.compile(r"(\d{1,2})[.、] ?")

_TARGET = {
    "en": re.compile(
        r"\b(?:the|this|that|these|those|our|target|reference|source|original|given|provided|attached|final)\s+"
        r"(?:\w+\s+)?(?:images?|pictures?|photos?|photographs?|screenshots?)\b(?!\s+(?:frame|book|window|wall|album|booth|studio)s?\b)"
        r"|\bground[- ]truth\b|\bas (?:shown|seen|pictured|depicted)\b"
        r"|\b(?:shown|seen|pictured) (?:here|above|below)\b"
        r"|\b(?:shown|depicted|pictured) (?:scene|view)\b"
        r"|\b(?:I|we|you) (?:can |could )?see\b",
        re.IGNORECASE,
    ),
    "zh": re.compile(
        r"(?:目标|参考|原始|原|源|给定的?|提供的?|这张|这幅|该|此|上)(?:图片|图像|照片|画面|图(?![书案腾纸]))"
        r"|(?:图片|图像|照片|截图)[中里上内]|(?<![地蓝拼版])图[中里内]|画面[里内]|画面中(?![央心部间景])"
        r"|(?:图片|图像|照片|画面)(?:显示|展示|描绘)|如图"
        r"|(?:根据|依据|观察|由)(?:图片|图像|照片|画面|图(?![书案腾纸形]))|(?:我们?|你)(?:可以|能)?看[到见]|可以看到"
    ),
}
_SIMPLE = str.maketrans("圖這張畫給參標據觀見顯裡內達紙書", "图这张画给参标据观见显里内达纸书")
_THING = re.compile(r"(?i)(?:the|this|that|these|those)\s+(image|picture|photo(?:graph)?|screenshot)s?")
_INTO, _ABOUT = (
    re.compile(r"(?i)\b(?:in|from|at)\s+$"),
    re.compile(r"(?i)\s+(?:shows?|depicts?|has|contains?)\b"),
)


class Step(NamedTuple):
    """One move of a thought."""

    role: Role
    text: str


def mention(text: str, lang: Lang, held: str = "") -> str | None:
    """The words by which `text` speaks of the picture that it should lead to, or None.

    Whoever thinks before drawing has not seen it: such words give the target away. `a photo of` is none, nor
    is the picture on a wall of which `held`, what may be said, speaks.
    """
    for found in _TARGET[lang].finditer(text.translate(_SIMPLE)):
        if not _is_thing(text, found, held):
            return text[found.start() : found.end()]
    return None


def _is_thing(text: str, found: re.Match[str], held: str) -> bool:
    """Whether it is a picture among the things that `held` names."""
    noun = _THING.fullmatch(found[0])
    looked = _INTO.search(text[: found.start()]) or _ABOUT.match(text[found.end() :])
    return bool(noun and not looked and re.search(rf"(?i)\b{noun[1]}s?\b", held))


def render(steps: Sequence[Step], lang: Lang) -> str:
    """The thought as text, a step to a line."""
    lines, number = [], 0
    for role, text in steps:
        number += role == "step"
        mark = f"{number}. " if role == "step" else MARKS[lang].get(role, "")
        lines.append(mark + " ".join(text.split()))
    return "\n".join(lines)


def parse(trace: str, lang: Lang) -> list[Step]:
    """The steps of a text that `render` could have made. Raises ValueError where numbers do not count up."""
    steps, number = [], 0
    for line in filter(None, map(str.strip, trace.splitlines())):
        role: Role = next((r for r, mark in MARKS[lang].items() if line.startswith(mark.strip())), "thought")
        text = line.removeprefix(MARKS[lang][role].strip()).strip() if role != "thought" else line
        if role == "thought" and (numbered := _STEP.match(line)):
            number += 1
            if int(numbered[1]) != number:
                raise ValueError(f"step {number} is numbered {numbered[1]}")
            role, text = "step", line[numbered.end() :]
        steps.append(Step(role, text))
    return steps


def pattern_fault(trace: str, pattern: Pattern, lang: Lang) -> str | None:
    """Why the text is no thought of that pattern, or None."""
    try:
        steps = parse(trace, lang)
    except ValueError as error:
        return str(error)
    shape, told = _SHAPES[pattern]
    if not re.fullmatch(shape, "".join(f"{step.role} " for step in steps)):
        return told
    if any(not step.text for step in steps):
        return "a step says nothing"
    if any(step.role == "question" and not step.text.endswith(("?", "？")) for step in steps):
        return "a question does not end in a question mark"
    said = [step.text.casefold() for step in steps]
    if len(set(said)) < len(said):
        return "two steps say the same"
    return None
