"""Claims one by one: the question that a verifier is asked about each, and the verdict of its answer."""

from collections.abc import Mapping

from thresher.operators.captions.checks.decided import VERIFIER as FACTS
from thresher.operators.captions.prompting import filled
from thresher.operators.captions.record import Claim
from thresher.operators.captions.taxonomy import SURE, SURE_ELSE, Field, Lang, Verdict
from thresher.operators.captions.verify.calibration import Calibration
from thresher.operators.models.chat.chat import Choice

WORDS = ("yes", "no", "unsure")
PROMPTS: dict[Lang, str] = {"en": "verify_en", "zh": "verify_zh"}
DISTRUSTED = "distrusted:"
"""Before the name of a verifier that failed its gate, in the claims that it was not asked about."""

_LOOK: dict[Lang, dict[Field, str]] = {
    "en": {
        "count": "Count the things that it is about, one by one, before you answer.",
        "ocr": "Read the letters and digits in the picture one by one: every one of them must be as quoted.",
        "entity": "What matters is the name: a thing of the same kind with another name makes it false.",
        "knowledge": "Answer yes only if something in the picture shows it.",
        "relation": "Look where each of the things is: left and right are as the viewer sees them.",
        "camera": "What matters is how the picture was taken: distance, angle, lens and light.",
        "primary.noun": "What matters is whether just this kind of thing is there.",
        "secondary.noun": "What matters is whether just this kind of thing is there.",
        "scene.noun": "What matters is the place as a whole.",
    },
    "zh": {
        "count": "回答之前，请把所说的东西一个一个数清楚。",
        "ocr": "请逐字逐数地读图中的文字：每一个字都必须与引文相同。",
        "entity": "关键在于名称：同类而名称不同，这句话就是错的。",
        "knowledge": "只有图中有东西能说明它时，才回答 yes。",
        "relation": "请看清每样东西的位置：左右以看图者为准。",
        "camera": "关键在于拍摄方式：远近、角度、镜头和光线。",
        "primary.noun": "关键在于图中是否正是这种东西。",
        "secondary.noun": "关键在于图中是否正是这种东西。",
        "scene.noun": "关键在于整个场所。",
    },
}
_LOOK_ELSE: dict[Lang, str] = {
    "en": "Look at the thing that it is about, and at nothing else.",
    "zh": "请只看这句话所说的东西。",
}
ASKED_BY = (WORDS, _LOOK, _LOOK_ELSE, SURE, SURE_ELSE)
"""What is asked and judged by besides the prompts, for the revision."""


def sure(field: Field) -> float:
    """How sure a verdict about this field must be, 0.5 to 0.9."""
    return SURE.get(field, SURE_ELSE)


def question(prompts: Mapping[str, str], claim: Claim) -> str:
    """What is asked about a claim, in English unless it stands in Chinese alone; `prompts`: `verify_en` and
    `verify_zh`."""
    lang: Lang = "en" if "en" in claim.text else "zh"
    t = sure(claim.field)
    given = {
        "look": _LOOK[lang].get(claim.field, _LOOK_ELSE[lang]),
        "percent": f"{100 * t:.0f}",
        "penalty": f"{t / (1 - t):.0f}",
        "claim": " ".join(claim.text[lang].split()),
    }
    return filled(prompts[PROMPTS[lang]], **given)


def answered(
    claim: Claim, choice: Choice | None, verifier: str, calibration: Calibration | None = None
) -> Claim:
    """The claim with the verdict of an answer; None: the verifier gave no usable answer.

    `p` is the verifier's probability of yes, calibrated if it can be. Supported needs p >= t; refuted needs
    t of the probability for no, or by calibration 1 - p >= t where the answer is no.
    """
    t, p, p_no = sure(claim.field), None, 0.0
    if choice is not None:
        p, p_no = choice.p.get("yes", 0.0), choice.p.get("no", 0.0)
        if calibration is not None:
            p = calibration(p)
            p_no = 1 - p if choice.answer == "no" else 0.0
    verdict: Verdict = "unsure"
    if p is not None and p >= t:
        verdict = "supported"
    elif p_no >= t:
        verdict = "refuted"
    return claim.model_copy(update={"verdict": verdict, "p": p, "t": t, "verifier": verifier})


def judged_by_a_model(claim: Claim) -> bool:
    """Whether a model was asked about the claim, and its answer used."""
    asked = claim.verifier not in ("", FACTS) and not claim.verifier.startswith(DISTRUSTED)
    return asked and claim.p is not None
