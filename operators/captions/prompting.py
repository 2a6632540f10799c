"""What models are told about captions: texts of this package, each replaceable by a file of the user."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from thresher.operators.models.chat.messages import Form
from thresher.schemas.errors import FieldError, nearest

PROMPTS = Path(__file__).parent / "prompts"
_OWNERS = {
    "look": "caption", "write": "caption", "rewrite": "caption", "verify": "caption.check",
    "diff": "caption.diff", "multi": "caption.diff", "reason": "caption.reason",
}  # fmt: skip
"""Which step has the prompts whose names begin so."""
_MARK = re.compile(r"\{\{(\w+)\}\}")


def prompt_texts(names: Iterable[str], replaced: Mapping[str, str]) -> dict[str, str]:
    """Name -> text of `prompts/NAME.txt`, or of the file that `replaced` names for it.

    Raises FieldError, as of the parameter `prompts`, where a name is unknown, a file holds no text, or a
    text has other marks than the one of this package: without the claims, say, nobody can write.
    """
    known = list(names)
    for name in replaced:
        if name not in known:
            owner = _OWNERS.get(name.partition("_")[0], "") if (PROMPTS / f"{name}.txt").is_file() else ""
            there = f"There are {', '.join(known)}"
            mend = f"It is one of `{owner}`. {there}" if owner else nearest(name, known) or there
            raise FieldError(f"there is no prompt {name!r}", ("prompts", name), mend)
    texts = {name: _text(name, PROMPTS / f"{name}.txt") for name in known}
    return texts | {name: _replacing(name, Path(place), texts[name]) for name, place in replaced.items()}


def prompts_revision(texts: Mapping[str, str], forms: Iterable[type[Form]] = ()) -> str:
    """8 hex digits of all that is said and of the forms of the answers: either changes what comes back."""
    said = [dict(texts), [form.model_json_schema() for form in forms]]
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=4).hexdigest()


def filled(prompt: str, **marks: str) -> str:
    """The prompt with each `{{NAME}}` replaced; what is put in is not looked at again."""
    return _MARK.sub(lambda mark: marks.get(mark[1], mark[0]), prompt)


def _replacing(name: str, place: Path, built_in: str) -> str:
    text = _text(name, place.expanduser())
    needed, held = (dict.fromkeys(_MARK.findall(one)) for one in (built_in, text))
    if missing := _marks(needed.keys() - held.keys()):
        what, mend = f"has no place for {missing}", "Write each where it is to be filled in"
    elif unknown := _marks(held.keys() - needed.keys()):
        what, mend = f"has marks that nothing fills: {unknown}", f"There are {_marks(needed) or 'none'}"
    else:
        return text
    raise FieldError(f"the prompt {str(place)!r} {what}", ("prompts", name), mend)


def _marks(names: Iterable[str]) -> str:
    return ", ".join(f"{{{{{name}}}}}" for name in sorted(names))


def _text(name: str, place: Path) -> str:
    try:
        text = place.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        what = f"the prompt {str(place)!r} cannot be read: {error}"
        raise FieldError(what, ("prompts", name), "Give a text file in UTF-8") from error
    if not text:
        raise FieldError(f"the prompt {str(place)!r} is empty", ("prompts", name))
    return text
