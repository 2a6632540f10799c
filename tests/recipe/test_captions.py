"""What is said of wrong captions in a recipe."""

import pytest

from thresher.pipelines.plan.compile import compile_plan
from thresher.pipelines.plan.doubts import doubts
from thresher.schemas import UsageError

RECIPE = """
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - quality
      - caption: {%s}
%s
    export: {text: %s}
"""
MODEL = "backend: endpoint, model: m, endpoint: http://localhost:8000/v1"
REASON = MODEL.replace("backend: endpoint, ", "")
DRAW = "      - caption.draw: {%s}"


def fault(load_text, caption="", more="", text="auto"):
    with pytest.raises(UsageError) as told:
        compile_plan(load_text(RECIPE % (caption, more, text)))
    return str(told.value)


@pytest.mark.parametrize("given", ["key_env: sk-abc", "key_env: [sk-abc]", "api_key: sk-abc", "key: sk-abc"])
def test_a_key_is_never_printed(load_text, given):
    told = fault(load_text, f"{MODEL}, {given}")
    assert "`key_env` is the name of an environment variable" in told and "sk-abc" not in told


@pytest.mark.parametrize(
    ("caption", "told"),
    [
        ("languages: [en, de]", "should be 'en' or 'zh', not 'de'."),
        ("name: My captioner", "Use small letters, digits and `_`, at most 40, and begin with a letter."),
        (f"{MODEL}/chat/completions", "Write `endpoint: http://localhost:8000/v1`."),
        (f"{MODEL}, prompts: {{verify_en: a.txt}}", "It is one of `caption.check`."),
    ],
)
def test_wrong_parameters_of_a_captioner(load_text, caption, told):
    assert told in fault(load_text, caption)


def test_columns_are_listed_as_mappings(load_text):
    told = fault(load_text, more=DRAW % "candidates: [caption.en.short]")
    assert told.endswith("Write `{text: caption.en.short}`.")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("caption.en.dense", "The captioner 'caption' can write it: add dense to its `levels`."),
        ("caption.zh.short", "The captioner 'caption' can write it: add zh to its `languages`."),
        ("caption", "Take one of caption.en.tags, caption.en.short"),
    ],
)
def test_texts_that_the_captioner_does_not_write(load_text, text, told):
    assert told in fault(load_text, "languages: [en], levels: [tags, short]", text=text)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("      - caption\n", "Put `- quality`, `- palette` and `- ocr` before it."),
        (
            f"      - caption: {{{MODEL}}}\n      - caption.reason: {{{REASON}}}\n",
            "Put `- caption.check` before",
        ),
        ("      - quality\n      - caption\n", ""),
    ],
)
def test_steps_that_will_hardly_do_anything(load_text, steps, told):
    head = RECIPE[: RECIPE.index("      - quality")]
    said = doubts(compile_plan(load_text(head + steps)).tables["images"])
    assert [told in one for one in said] == ([True] if told else [])
