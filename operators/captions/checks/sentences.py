"""The sentences of a text with their claims."""

from collections.abc import Collection

from thresher.operators.captions.record import Text


def parts(text: Text) -> list[tuple[str, tuple[str, ...]]]:
    """The sentences of a text with their claims, and what stands after the last of them with none."""
    end = text.sentences[-1].end if text.sentences else 0
    rest = text.text[end:]
    return [*text.parts(), *([(rest, ())] if rest.strip() else [])]


def holding(text: Text, said: Collection[str]) -> tuple[int, ...]:
    """Positions of the sentences in which one of some words stands, in any case."""
    sought = [words.casefold() for words in said]
    held = [sentence.casefold() for sentence, _ in parts(text)]
    return tuple(place for place, sentence in enumerate(held) if any(words in sentence for words in sought))
