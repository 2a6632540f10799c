"""The one error type that a user meets: what went wrong, where, and how to mend it."""


class ThresherError(Exception):
    """An expected fault, printed as one paragraph. `code` is the command's exit status."""

    code = 1

    def __init__(self, what: str, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        parts = [where + ": " + what if where else what]
        if mend:
            parts.append(mend)
        super().__init__(" ".join(p if p.endswith(("?", ".")) else p + "." for p in parts))


class UsageError(ThresherError):
    """A recipe or a command line that cannot be run (exit status 2)."""

    code = 2


class FieldError(UsageError):
    """A wrong value inside an operator's parameters.

    `path` leads from the step's parameters to the value, e.g. `("drop", "blurry")`; the recipe
    turns it into a file and line.
    """

    def __init__(self, what: str, path: tuple[str | int, ...] = (), mend: str = "") -> None:
        self.path = path
        super().__init__(what, mend=mend)


def nearest(word: str, known: "list[str]") -> str:
    """A hint with the closest right spelling, or an empty string."""
    close = closest(word, known)
    return f"Did you mean {close!r}?" if close else ""


def closest(word: str, known: "list[str]") -> str:
    """The known word that is spelt most like `word`, in any case, or an empty string."""
    import difflib

    spelt = {name.lower(): name for name in reversed(known)}
    found = difflib.get_close_matches(word.lower(), spelt, n=1, cutoff=0.5)
    return spelt[found[0]] if found else ""
