"""The generated reference of an operator: what it reads, writes, takes, costs and was taken from."""

import inspect

from thresher.operators.base import Decide, Export, Measure, Operator
from thresher.operators.registry import get


def kind_of(cls: type[Operator]) -> str:
    """measure, decide or export."""
    kinds = {Measure: "measure", Decide: "decide", Export: "export"}
    return next((name for kind, name in kinds.items() if issubclass(cls, kind)), "operator")


def reference(name: str) -> str:
    """The operator's page as Markdown."""
    cls = get(name)
    lines = [f"# {name}", "", inspect.cleandoc(cls.__doc__ or ""), ""]
    lines.append(f"- kind: {kind_of(cls)}, version {cls.version}")
    if issubclass(cls, Measure):
        views = sorted({f"{v.kind}({v.size})" if v.size else v.kind for v in cls.views})
        lines.append(f"- views: {', '.join(views) or 'none'}")
        lines.append(f"- may move before a select: {'yes' if cls.movable else 'no'}")
    lines.append(f"- reads: {', '.join(cls.reads) or 'no other column'}")
    lines.append(f"- taken from: {cls.source}")
    if cls.cost:
        lines.append(f"- cost: {cls.cost}")
    fields = cls.params_model.model_fields
    if fields:
        lines += ["", "| parameter | default | meaning |", "|---|---|---|"]
        for key, field in fields.items():
            default = (
                "required" if field.is_required() else f"`{field.get_default(call_default_factory=True)!r}`"
            )
            lines.append(f"| `{key}` | {default} | {field.description or ''} |")
    optional = all(not f.is_required() for f in fields.values())
    columns = cls().writes() if optional else []
    if columns:
        lines += ["", "| column | type | unit | range | meaning | back end |", "|---|---|---|---|---|---|"]
        for c in columns:
            low = "" if c.lo is None else f"{c.lo:g}"
            high = "" if c.hi is None else f"{c.hi:g}"
            span = (
                f"{low} to {high}" if low and high else f"from {low}" if low else f"to {high}" if high else ""
            )
            span = span or ", ".join(c.values)
            lines.append(
                f"| `{c.name}` | {c.dtype} | {c.unit} | {span} | {c.meaning} | {c.backend} {c.revision} |"
            )
    return "\n".join(lines)
