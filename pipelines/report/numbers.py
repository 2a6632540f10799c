"""Numbers as a reader likes them: thin separators, few digits, SI bytes."""

import math

THIN = "\u202f"
"""Narrow no-break space (ISO 80000-1 groups digits by a small space)."""

SIGNS = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠", "<": "<", ">": ">"}
SAID = {"px", "MP", "bits", "bytes"}
"""Units that stand beside a number; others only beside the name of their column."""


def number(value: float | None) -> str:
    """A count or measurement with at most four significant digits after grouping; a dash for None."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", THIN)
    if abs(value) < 1e-4 or abs(value) >= 1e15:
        return f"{value:.3g}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}".replace(",", THIN)
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: float, unit: str) -> str:
    """A number and its unit; shares in percent, as recipes write them."""
    if unit == "share":
        return f"{number(100 * value)}{THIN}%"
    return f"{number(value)}{THIN}{unit}" if unit in SAID else number(value)


def measured(text: str, unit: str, beside: str = "") -> str:
    """A value or bound of the ledger, such as `39.97` or `< 40`; what is no number stays as it is.

    A value never reads like the bound `beside` it: 39.99999 does not become 40.
    """
    sign, value = _parsed(text)
    if value is None or not math.isfinite(value):
        return text
    shown, other = quantity(value, unit), _parsed(beside)[1]
    if other is not None and value != other and shown == quantity(other, unit):
        return text
    return f"{SIGNS[sign]} {shown}" if sign else shown


def _parsed(text: str) -> tuple[str, float | None]:
    """The sign (or "") and the number of a value or bound; no number: None."""
    sign, _, rest = text.rpartition(" ")
    try:
        return sign, float(rest) if sign in ("", *SIGNS) else None
    except ValueError:
        return "", None


def percent(part: int, whole: int) -> str:
    """`part` of `whole`; never rounds a loss away (99.97 % stays below 100 %)."""
    if whole == 0:
        return "–"
    share = 100 * part / whole
    if 0 < share < 0.1:
        return f"<0.1{THIN}%"
    if 99.9 < share < 100:
        return f">99.9{THIN}%"
    return f"{share:.0f}{THIN}%" if share in (0, 100) else f"{share:.1f}{THIN}%"


def file_size(size: int) -> str:
    """Bytes in SI units."""
    value, units = float(size), ["B", "kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    digits = 0 if value >= 10 or units[0] == "B" else 1
    return f"{value:.{digits}f}{THIN}{units[0]}"


def duration(seconds: float | None) -> str:
    """Worker time: seconds, minutes or hours."""
    if seconds is None:
        return "–"
    if seconds < 0.1:
        return f"<0.1{THIN}s"
    if seconds < 120:
        return f"{seconds:.1f}{THIN}s"
    return f"{seconds / 60:.1f}{THIN}min" if seconds < 7200 else f"{seconds / 3600:.1f}{THIN}h"
