"""`objective`, `boilerplate`, `watermark`: how a text speaks, and of what it should not."""

import regex

from thresher.operators.captions.checks.sentences import holding
from thresher.operators.captions.facts.evidence import WATERMARK
from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import split, unquoted
from thresher.operators.captions.record import Facts, Text

OPINIONS = 0.1
"""Share of the sentences of long and dense texts (images.md 6.3)."""
FULL = ("long", "dense")
_OPINION = regex.compile(
    r"(?i)\b(?:beautiful(?:ly)?|gorgeous|stunning(?:ly)?|breathtaking|magnificent|captivating|mesmeri[sz]ing"
    r"|enchanting|charming|delightful|lovely|wonderful|amazing|awe-inspiring|picturesque|exquisite|spectacular"
    r"|evok(?:es?|ing)|evocative|inviting|timeless|whimsical|a (?:sense|feeling) of"
    r"|as if|as though|seems? to|seemingly|(?<!\b(?:let|make) (?:\w+ ){1,3})appears? to"
    r"|perhaps|maybe|possibly|probably|presumably"
    r"|might be|may be|could be|likely(?!-)|suggest(?:s|ing)|invit(?:es|ing) the viewer|reminiscent of"
    r"|serene(?:ly)?|tranquil(?:lity)?|peaceful(?:ly)?|exud(?:es?|ing))\b"
    r"|可能是?|或许|也许|大概|似乎|仿佛|好像|看起来像|像是|宛如|宛若|犹如|令人|让人(?:感到|觉得|联想|心|想)"
    r"|给人(?:以|一种|.{0,6}的感觉)|宁静|祥和|温馨|营造出?|唤起|美丽|美妙|迷人|壮观|绝美|动人|震撼|梦幻般|充满了?.{0,4}(?:诗意|气息|韵味|感)"
)
_BOILERPLATE = regex.compile(
    r"(?i)^\W*(?:"
    r"(?:in )?(?:the|this|an?) (?:\w+ ){0,2}?"
    r"(?:image|picture|photo(?:graph)?|scene|illustration|painting|artwork)"
    r"(?: here)?,? (?:shows?|depicts?|features?|captures?|displays?|presents?|portrays?|showcases?|contains?"
    r"|illustrates?|is of|we (?:can )?see|there (?:is|are)|you can see)\b"
    r"|in (?:the|this) (?:image|picture|photo(?:graph)?)(?=,| (?:an?|the|one|two|three)\b)"
    r"|this is an? (?:image|picture|photo(?:graph)?) of\b|pictured (?:here )?(?:is|are)\b"
    r"|(?:here )?we (?:can )?see\b|here is (?:an? )?(?:image|picture|photo)\b"
    r"|(?:an? |the )?(?:image|picture|photo(?:graph)?) (?:of|showing|depicting|featuring)\b"
    r"|(?:在)?(?:这|该|本|此)?(?:[张幅副个]|一[张幅])?(?:图(?:片|像|中|里|上)?|照片|画面|画作)(?:中|里|上|内)?[，,]?"
    r"(?:主要)?(?:展示|展现|呈现|显示|描绘|描述|可以看到|我们可以看到|拍摄|记录|刻画)"
    r"|(?:这|该|本|此)[张幅副个]?(?:图片?|图像|照片|画面|画作)(?:主要)?(?:是|为)"
    r"|在?(?:这|该|本|此)[张幅副]?(?:图片?|图像|照片|画面)[中里上][，,]|图为|这是一[张幅](?:(?![，。]).){0,20}的(?:图片|照片)"
    r"|(?:我们)?(?:可以)?看到)"
)
_WATERMARK = regex.compile(r"(?i)\bwatermark(?:s|ed|ing)?\b|水印")
_NO_WATERMARK = regex.compile(
    r"(?i)\b(?:no|without(?: an?y?)?|free of(?: any)?|not(?: an?y?)?|isn['’]t(?: an?y?)?|any)"
    r"(?: (?:visible|obvious))?(?: (?:[\w-]+,? ){0,4}?(?:or|nor))?(?: [\w-]+)? ?watermark(?:s|ed|ing)?\b"
    r"|(?:没有|无|未见|不带|不含|未加)(?:任何|明显|可见)?(?:的)?水印"
)


def objective(text: Text) -> Finding:
    """Share of the sentences of long and dense texts with a word of opinion or guess, their quotes aside."""
    said = split(text.text, text.lang) if text.level in FULL else []
    if not said:
        return Finding("objective", True)
    found = [(i, match[0]) for i, part in enumerate(said) if (match := _OPINION.search(unquoted(part)))]
    share = len(found) / len(said)
    ok = share <= OPINIONS
    told = f"opinions or guesses: {', '.join(sorted({repr(word) for _, word in found}))}; say what is seen"
    places = () if ok else holding(text, [word for _, word in found])
    return Finding("objective", ok, share, "" if ok else told, True, places)


def boilerplate(text: Text) -> Finding:
    """Whether it begins by saying that it is about an image (1: yes); flagged only."""
    match = _BOILERPLATE.match(text.text)
    told = f"it begins with {match[0]!r}; begin with what is seen" if match else ""
    return Finding("boilerplate", not match, float(bool(match)), told, hard=False)


def watermark(text: Text, facts: Facts) -> Finding:
    """Whether what it says of watermarks agrees with `watermark_p` (1: yes); flagged only.

    Only long and dense texts must speak of one. None where there is none and none is named, and where no step
    looked for one: the marks that the captioner saw would agree with its own texts.
    """
    found = [one.value for one in facts.measured if one.column == "watermark_p"]
    if not found:
        return Finding("watermark", True, hard=False)
    there = float(found[0]) >= WATERMARK
    plain = unquoted(text.text)
    denied = bool(_NO_WATERMARK.search(plain))
    named = bool(_WATERMARK.search(_NO_WATERMARK.sub(" ", plain)))
    if not (there or named or denied):
        return Finding("watermark", True, hard=False)
    wrong = (named and not there) or (there and denied and not named)
    missing = there and not named and text.level in FULL
    told = "it names a watermark that was not found" if wrong and not there else "a watermark was found"
    ok = not (wrong or missing)
    return Finding("watermark", ok, float(ok), "" if ok else told, hard=False)
