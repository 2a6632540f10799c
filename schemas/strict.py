"""Plain data as dataclasses: unknown keys and wrong types are faults that say where they stand."""

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from thresher.schemas.errors import UsageError, nearest

T = TypeVar("T")
Keys = tuple[str | int, ...]
Where = Callable[[Keys], str]

_UNKNOWN = "unexpected_keyword_argument"


def validated(of: type[T], data: dict[str, Any], where: Where) -> T:
    """The data as a dataclass that forbids extra keys. `where` tells the place of a value.

    Raises UsageError with the place, the name and the nearest right spelling.
    """
    try:
        return TypeAdapter(of).validate_python(data)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise _told(min(faults, key=lambda fault: fault["type"] != _UNKNOWN), of, where) from None


def _told(fault: Any, of: type, where: Where) -> UsageError:
    """The words of pydantic as ours. An unknown key comes first: others often follow from it."""
    keys, given = fault["loc"], fault["input"]
    match fault["type"]:
        case "unexpected_keyword_argument":
            known = [f.name for f in fields(_inside(of, keys[:-1]))]
            mend = nearest(str(keys[-1]), known) or f"Known keys here: {', '.join(known)}"
            return UsageError(f"unknown key {keys[-1]!r}", where(keys), mend)
        case "missing":
            return UsageError(f"the key {keys[-1]!r} is missing", where(keys[:-1]))
        case "dataclass_type":
            known = [f.name for f in fields(_inside(of, keys))]
            mend = f"Write `{{{', '.join(f'{name}: ...' for name in known)}}}`"
            return UsageError(f"{keys[-1]} should be a mapping, not {given!r}", where(keys), mend)
        case "literal_error":
            mend = nearest(str(given), re.findall(r"'(.*?)'", fault["msg"]))
            return UsageError(f"{keys[-1]} {fault['msg'][6:]}, not {given!r}", where(keys), mend)
    what = fault["msg"].removeprefix("Input ").partition(", unable")[0]
    return UsageError(f"{keys[-1]} {what}, not {given!r}", where(keys))


def _inside(of: Any, keys: Keys) -> Any:
    """The dataclass that stands at `keys`."""
    for key in keys:
        of = get_type_hints(of)[str(key)] if is_dataclass(of) else get_args(of)[-1]
    return of
