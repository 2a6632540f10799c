"""What is likely not meant in a recipe that can run: told by the plan and by the run."""

from typing import TYPE_CHECKING

from thresher.operators.captions.facts.compose import BACKEND
from thresher.pipelines.plan.compile import CATALOG_COLUMNS

if TYPE_CHECKING:
    from thresher.pipelines.plan.compile import TablePlan


def doubts(plan: "TablePlan") -> list[str]:
    """A sentence for each step that will hardly do anything."""
    told = []
    checked = {step.operator.params.of for step in plan.steps if step.operator.name == "caption.check"}
    models = set()
    for step in plan.steps:
        params = step.operator.params
        if step.operator.name == "caption":
            if params.backend != BACKEND:
                models.add(params.name)
            elif not {*params.context} - {*CATALOG_COLUMNS["image"]}:
                mend = "Put `- quality`, `- palette` and `- ocr` before it"
                told.append(f"{step.label}: no step measures anything that it could say. {mend}.")
        elif step.operator.name == "caption.reason" and params.of in models - checked:
            why = f"it takes supported claims of {params.of!r} alone, and only facts support any"
            told.append(f"{step.label}: {why}. Put `- caption.check` before it.")
    return told
