"""A rewrite that loses, adds or changes a claim of its prompt is rejected with the key point named."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.captions.rewrites import GOOD, PLANTED, Planted, claim
from thresher.operators.captions.prompting import prompt_texts
from thresher.operators.captions.reason.judging import JUDGE_PROMPTS, judged_faults
from thresher.operators.captions.reason.rewrite import Rewrite, rewrite_faults
from thresher.operators.captions.taxonomy import KeyPoint
from thresher.operators.models.chat.params import ChatParams

BY_RULE = [planted for planted in PLANTED if not planted.judge]
JUDGED = [planted for planted in PLANTED if planted.judge]
NUMBERS = {
    2: ("two", "两"), 3: ("three", "三"), 4: ("four", "四"), 9: ("nine", "九"), 12: ("twelve", "十二"),
    16: ("sixteen", "十六"), 25: ("twenty-five", "二十五"),
}  # fmt: skip
COLOURS = {"red": "红色", "blue": "蓝色", "green": "绿色", "black": "黑色"}


def _names(planted: Planted) -> list[str]:
    return [fault.name for fault in rewrite_faults(planted.rewrite())]


def test_there_are_fifty_cases_in_both_languages() -> None:
    assert len(PLANTED) >= 50 and len({(p.prompt, p.refined) for p in PLANTED}) == len(PLANTED)
    assert sum(p.lang == "zh" for p in PLANTED) >= 15
    assert {p.fault.partition(":")[0] for p in PLANTED} == {"lost", "added", "changed"}
    assert {p.fault.partition(":")[2] for p in PLANTED} <= set(get_args(KeyPoint))


@pytest.mark.acceptance("I32")
def test_rules_name_the_key_point() -> None:
    found = {planted: _names(planted) for planted in BY_RULE}
    assert {planted: names for planted, names in found.items() if names != [planted.fault]} == {}


@pytest.mark.parametrize("planted", [*GOOD, *JUDGED], ids=lambda p: p.refined)
def test_rules_find_nothing_in_what_they_cannot_fault(planted: Planted) -> None:
    assert _names(planted) == []


@pytest.mark.parametrize("planted", [*JUDGED, GOOD[0], GOOD[-1]], ids=lambda p: p.refined)
def test_a_judge_names_what_no_rule_can(
    planted: Planted, chat_server: Callable[..., Any], said: Callable[..., str], shown: Callable[..., Any]
) -> None:
    """The judge is scripted; what is tested is that it is asked about that key point, with the claims and the
    text, without a picture, and that its verdict becomes the fault."""
    how, _, point = planted.fault.partition(":")
    words = point.replace("_", " ")

    def judge(body: dict[str, Any]) -> str:
        asked = said(body)
        assert planted.refined in asked and shown(body) is None
        if "Key points:" in asked:
            return words
        if "Key point:" in asked:
            return "no" if how == "lost" and f"Key point: {words}\n" in asked else "yes"
        return "no" if how == "added" else "yes"

    server = chat_server(judge)
    model = ChatParams(model="judge", endpoint=server.url).connect()
    texts = prompt_texts(JUDGE_PROMPTS, {})
    (faults,) = model.each([planted.rewrite()], lambda chat, item: judged_faults(chat, item, texts))
    assert [fault.name for fault in faults] == ([planted.fault] if planted.fault else [])


@given(st.sampled_from(sorted(NUMBERS)), st.sampled_from(sorted(NUMBERS)), st.sampled_from(["en", "zh"]))
def test_a_number_stays_or_the_rewrite_falls(asked: int, written: int, lang: str) -> None:
    frame = {"en": ("{} boats", "At dawn, {} small boats drift."), "zh": ("{}艘船", "清晨，{}艘小船漂着。")}
    i = int(lang == "zh")
    prompt, refined = (t.format(NUMBERS[n][i]) for t, n in zip(frame[lang], (asked, written), strict=True))
    known = [claim(lang, 0, prompt + " | count")]
    more = claim(lang, 1, ("small boats", "小船")[i])
    faults = rewrite_faults(Rewrite(prompt, refined, lang, known, [*known, more]))
    assert [fault.name for fault in faults] == ([] if asked == written else ["changed:counting"])


@given(st.permutations(sorted(COLOURS)), st.sampled_from(["en", "zh"]), st.booleans())
def test_colours_stay_with_their_things(colours: list[str], lang: str, swapped: bool) -> None:
    one, other = colours[:2] if lang == "en" else [COLOURS[c] for c in colours[:2]]
    things = ("car", "house") if lang == "en" else ("汽车", "房子")
    frame = {
        "en": ("a {} {} and a {} {}", "A {} {} stands near a {} {}."),
        "zh": ("{}的{}和{}的{}", "{}{}旁边是{}的{}。"),
    }
    prompt = frame[lang][0].format(one, things[0], other, things[1])
    first, second = (other, one) if swapped else (one, other)
    refined = frame[lang][1].format(first, things[0], second, things[1])
    claims = [claim(lang, 0, prompt), claim(lang, 1, "stands | primary.action")]
    faults = rewrite_faults(Rewrite(prompt, refined, lang, claims[:1], claims))  # type: ignore[arg-type]
    assert [fault.name for fault in faults] == (["changed:cross_entity_binding"] if swapped else [])


@given(st.sampled_from(GOOD + PLANTED))
def test_a_prompt_is_a_faultless_rewrite_of_itself(planted: Planted) -> None:
    rewrite = planted.rewrite()
    assert rewrite_faults(rewrite._replace(refined=planted.prompt)) == []
