"""How models refuse, in English and Chinese: in the first person, or with the picture or the request as the
subject, they say that they are unable or unwilling to tell, help or see. Quoted words say nothing."""

import unicodedata

import regex

from thresher.operators.models.chat import refusals_en as en
from thresher.operators.models.chat import refusals_zh as zh

_HEAD = 400
"""Characters that are read."""
_TRADITIONAL = str.maketrans(
    "無對請圖們這張個該內識別處檢測顯傳發閱為當於關規據遺應來幫沒過難開視認與產評論說確會擇違條輸資訊檔體錯誤斷給讀後則從進辦"
    "滿語網見實爲隱護載協執討權絕換試圍導",
    "无对请图们这张个该内识别处检测显传发阅为当于关规据遗应来帮没过难开视认与产评论说确会择违条输资讯档体错误断给读后则从进办"
    "满语网见实为隐护载协执讨权绝换试围导",
)
"""Of the characters that refusals are written with."""
_ADORNED = regex.compile(r"^[\s\"'“”「*#>_-]+")
_QUOTE = regex.compile(
    r"“[^”]*”|\"[^\"]*\"|「[^」]*」|『[^』]*』|《[^》]*》|(?<!\w)'(?:[^']|(?<=\w)'(?=\w))*'(?!\w)"
)
_MARKED = " ¤ "
"""In place of a quote."""
_END = regex.compile(r"[.!?。\n]+")

_COURTESY = regex.compile(rf"(?:{en.COURTESY}|{zh.COURTESY})[\s,.!。:;¤-]*")
_FULL = regex.compile("|".join((*en.FULL, *zh.FULL)))
_MERE = regex.compile(rf"{en.MERE}|{zh.MERE}")
_BARE = regex.compile(rf"{en.BARE}|{zh.BARE}")


def refused_by_name(text: str) -> str:
    """The words with which it refuses to tell, help or see; empty where it does not. For texts of people, who
    are sorry for other things."""
    return _full(_folded(text), 1)


def refused(text: str) -> str:
    """The same of what a model wrote as a text: it need not name what it refuses."""
    said = _folded(text)
    mere = _MERE.match(said)
    return _full(said, 2) or (mere[0] if mere else "")


def refused_instead(text: str) -> str:
    """The same of what stands in place of an object that was asked for."""
    bare = _BARE.match(_folded(text))
    return refused(text) or (bare[0] if bare else "")


def _full(said: str, most: int) -> str:
    """In the first sentences after the courtesies."""
    for _ in range(most):
        while opener := _COURTESY.match(said):
            said = said[opener.end() :]
        end = _END.search(said)
        if found := _FULL.search(said[: end.start()] if end else said):
            return found[0].strip()
        said = said[end.end() :].lstrip() if end else ""
    return ""


def _folded(text: str) -> str:
    """The beginning in one form of every letter and mark, without quotes; one around the whole is none."""
    text = unicodedata.normalize("NFKC", text[:_HEAD]).translate(_TRADITIONAL).casefold()
    text = regex.sub(r"[’‘ʼ`´]", "'", text).strip()
    whole = _QUOTE.fullmatch(text)
    text = text if whole else _QUOTE.sub(_MARKED, text)
    return _ADORNED.sub("", text)
