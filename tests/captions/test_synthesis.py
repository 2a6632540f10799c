"""Captions put together from verified claims."""

import random
import re
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.operators.captions.draw.synthesis import SynthesisParams, synthesise
from thresher.operators.captions.language.words import count, split
from thresher.operators.captions.record import CaptionRecord, Claim
from thresher.operators.captions.taxonomy import Field

FIELDS: tuple[Field, ...] = get_args(Field)
SURE = SynthesisParams(fields=dict.fromkeys(FIELDS, 1.0))


def claim(i: int, field: Field = "primary.noun", verdict: Any = "supported") -> Claim:
    """No two say the same."""
    text = {
        "en": f"The lamp numbered {i} hangs beside the open door.",
        "zh": f"第{i}盏灯挂在打开的红色木门旁边。",
    }
    return Claim(id=f"c{i}", field=field, text=text, verdict=verdict)


def a_record(claims: int, seed: int = 0) -> CaptionRecord:
    """Claims of all fields and verdicts."""
    draw = random.Random(seed)
    verdicts = ("supported", "supported", "supported", "unsure", "refuted")
    made = [claim(i, draw.choice(FIELDS), draw.choice(verdicts)) for i in range(claims)]
    return CaptionRecord(languages=("en", "zh"), claims=tuple(made))


@pytest.mark.acceptance("I25")
def test_ten_thousand_stay_in_bounds_and_in_what_was_verified() -> None:
    records = [a_record(n, n) for n in (8, 12, 40, 200)]
    verified = [{c.id for c in r.claims if c.verdict == "supported"} for r in records]
    lengths, seen = [], set()
    for i in range(10_000):
        which = i % 4 if i % 40 < 4 else i % 2
        made = synthesise(records[which], 7, i.to_bytes(16), i % 3)
        assert made is not None
        lengths.append(count(made.text, made.lang, "long"))
        assert {*made.claims} <= verified[which] and len({*made.claims}) == len(made.claims)
        sentences = split(made.text, made.lang)
        assert len({*sentences}) == len(sentences)
        seen |= {(made.lang, made.level)}
        if i % 10 == 0:
            assert made == synthesise(records[which], 7, i.to_bytes(16), i % 3)
    assert min(lengths) >= 30 and max(lengths) <= 1000 and max(lengths) > 600
    assert {level for _, level in seen} >= {"medium", "long", "dense"} and {lang for lang, _ in seen} == {
        "en",
        "zh",
    }


@pytest.mark.acceptance("I25")
def test_every_word_comes_from_a_claim_that_is_listed() -> None:
    record = a_record(60)
    for i in range(200):
        made = synthesise(record, 1, i.to_bytes(16))
        assert made
        assert [f"c{number}" for number in re.findall(r"\d+", made.text)] == [*made.claims]
        rest = made.text.casefold()
        for name in sorted(made.claims, key=len, reverse=True):
            rest = rest.replace(record.claim(name).text[made.lang].casefold().rstrip(".。"), "")
        assert set(rest.replace("and", "")) <= set(" ,.;，；。")


def test_a_poor_record_has_none_rather_than_a_short_or_padded_one() -> None:
    poor = CaptionRecord(languages=("en",), claims=tuple(claim(i) for i in range(2)))
    unsure = CaptionRecord(languages=("en",), claims=tuple(claim(i, verdict="unsure") for i in range(90)))
    assert all(synthesise(r, 0, i.to_bytes(16)) is None for r in (poor, unsure) for i in range(50))
    enough = CaptionRecord(languages=("en",), claims=tuple(claim(i) for i in range(4)))
    made = [synthesise(enough, 0, i.to_bytes(16), params=SURE) for i in range(50)]
    assert all(m and m.lang == "en" and {*m.claims} == {"c0", "c1", "c2", "c3"} for m in made)


def test_seed_id_and_epoch_each_draw_anew_and_text_in_the_picture_stays() -> None:
    record = a_record(80)
    record = record.model_copy(update={"claims": (*record.claims, claim(999, "ocr"))})
    args = [(s, i.to_bytes(16), e) for s in (0, 1) for i in range(40) for e in (0, 1)]
    made = [synthesise(record, *a) for a in args]
    assert len({m.text for m in made if m}) > 150 and made == [synthesise(record, *a) for a in args]
    assert all("c999" in m.claims for m in made if m and m.level in ("long", "dense"))


def test_odds_and_chances_are_params() -> None:
    record = a_record(200)
    only = SynthesisParams(languages={"zh": 1}, levels={"long": 1}, fields={"primary.noun": 0.0})
    made = [synthesise(record, 0, i.to_bytes(16), params=only) for i in range(60)]
    assert {m.lang for m in made if m} == {"zh"} and {m.level for m in made if m} <= {"medium", "long"}
    assert not any(record.claim(c).field == "primary.noun" for m in made if m for c in m.claims)


words = st.lists(
    st.sampled_from(["red", "boat", "stands", "two", "walls", "3.5", '"OPEN', '24"', "U.S.", "No.", "it's"]),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(words, st.sampled_from(FIELDS), st.booleans()), max_size=40),
    st.integers(0, 2**63),
    st.data(),
)
def test_whatever_the_claims_say_the_bounds_hold(given: list[Any], seed: int, data: Any) -> None:
    claims = [
        Claim(id=f"c{i}", field=field, text={"en": " ".join(said) + "." * stop}, verdict="supported")
        for i, (said, field, stop) in enumerate(given)
    ]
    record = CaptionRecord(languages=("en",), claims=tuple(claims))
    made = synthesise(record, seed, data.draw(st.binary(min_size=16, max_size=16)))
    different = {c.text["en"].rstrip(".").casefold(): c.text["en"] for c in claims}.values()
    assert (made is not None) == (sum(count(text, "en", "long") for text in different) >= 30)
    if made:
        assert 30 <= count(made.text, "en", "long") <= 1000 and {*made.claims} <= {c.id for c in claims}
