"""What models are told about captions: texts of this package, each replaceable by a file of the user."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from thresher.operators.models.chat.messages import Form
from thresher.schemas.errors import FieldError, nearest

PROMPTS = Path(__file__).parent / "prompts"


def prompt_texts(names: Iterable[str], replaced: Mapping[str, str]) -> dict[str, str]:
    """Name -> text of `prompts/NAME.txt`, or of the file that `replaced` names for it.

    Raises FieldError, as of the parameter `prompts`, where a name is unknown or a file holds no text.
    """
    known = list(names)
    for name in replaced:
        if name not in known:
            mend = nearest(name, known) or f"There are {', '.join(known)}"
            raise FieldError(f"there is no prompt {name!r}", ("prompts", name), mend)
    places = {name: Path(replaced.get(name, PROMPTS / f"{name}.txt")).expanduser() for name in known}
    return {name: _text(name, place) for name, place in places.items()}


def prompts_revision(texts: Mapping[str, str], forms: Iterable[type[Form]] = ()) -> str:
    """8 hex digits of all that is said and of the forms of the answers: either changes what comes back."""
    said = [dict(texts), [form.model_json_schema() for form in forms]]
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=4).hexdigest()


def filled(prompt: str, **marks: str) -> str:
    """The prompt with each `{{NAME}}` replaced; what is put in is not looked at again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: marks.get(mark[1], mark[0]), prompt)


def _text(name: str, place: Path) -> str:
    try:
        text = place.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        what = f"the prompt {str(place)!r} cannot be read: {error}"
        raise FieldError(what, ("prompts", name), "Give a text file in UTF-8") from error
    if not text:
        raise FieldError(f"the prompt {str(place)!r} is empty", ("prompts", name))
    return text
