"""Random numbers that are pure functions of what they are for: keyed hashes of a counter."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A stream of numbers for one record: the n-th is a keyed hash of n.

    Of equal (purpose, seed, id, epoch) they are equal on any machine; of others, independent.
    """

    def __init__(self, purpose: str, seed: int, id: bytes, epoch: int = 0) -> None:
        self._key = hashlib.blake2b(f"{purpose}\0{seed}\0{epoch}\0".encode() + id, digest_size=32).digest()
        self._count = 0

    def uniform(self) -> float:
        """The next number in the open interval (0, 1)."""
        word = hashlib.blake2b(self._count.to_bytes(8), key=self._key, digest_size=8).digest()
        self._count += 1
        return ((int.from_bytes(word) >> 11) + 0.5) * 2.0**-53

    def choose(self, odds: Mapping[T, float]) -> T:
        """One of the keys, by its odds (not all 0)."""
        possible = [(name, odd) for name, odd in odds.items() if odd > 0]
        left = self.uniform() * sum(odd for _, odd in possible)
        for name, odd in possible:
            left -= odd
            if left < 0:
                return name
        return possible[-1][0]

    def shuffled(self, things: Sequence[T]) -> list[T]:
        """The same things in another order."""
        return [thing for _, _, thing in sorted((self.uniform(), i, thing) for i, thing in enumerate(things))]
