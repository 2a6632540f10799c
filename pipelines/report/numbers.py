"""Numbers as a reader likes them: thin separators, few digits, SI bytes."""

import math

THIN = "\u202f"
"""Narrow no-break space (ISO 80000-1 groups digits by a small space)."""


def number(value: float | int | None) -> str:
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


def short(text: str | None) -> str:
    """A ledger's value or bound: six digits of a number, other text as it is.

    A value is never rounded onto a round bound: 39.9999999 does not read 40.
    """
    if text is None:
        return ""
    try:
        value = float(text)
    except ValueError:
        return text
    if not math.isfinite(value):
        return text
    if value.is_integer():
        return number(value)
    rounded = f"{value:.6g}"
    return text if float(rounded).is_integer() else rounded


def percent(part: int, whole: int) -> str:
    """`part` of `whole`; never rounds a loss away (99.97 % stays below 100 %)."""
    if whole == 0:
        return "–"
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "<0.1" + THIN + "%"
    if 99.9 < share < 100:
        return ">99.9" + THIN + "%"
    return f"{share:.0f}{THIN}%" if share in (0, 100) else f"{share:.1f}{THIN}%"


def file_size(size: int | None) -> str:
    """Bytes in SI units."""
    if size is None:
        return ""
    value, units = float(size), ["B", "kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    digits = 0 if value >= 10 or units[0] == "B" else 1
    return f"{value:.{digits}f}{THIN}{units[0]}"


def duration(seconds: float | None) -> str:
    """Worker time: seconds, minutes or hours."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.1f}{THIN}s"
    return f"{seconds / 60:.1f}{THIN}min" if seconds < 7200 else f"{seconds / 3600:.1f}{THIN}h"
