"""Keys and permutations: all randomness of a plan, without a generator whose state could be lost."""

import json
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import NDArray

PLAN_VERSION = 1

Role = Literal["order", "mix", "row", "caption", "drop", "time", "noise", "crop"]
Ints = NDArray[np.int64]

_ROUNDS = 6
_WORD = (1 << 64) - 1


def key(role: Role, *parts: int | str) -> int:
    """64 bits from a tuple: BLAKE2b of its canonical form. Never add to a seed: (0, 1) is not (1, 0)."""
    told = json.dumps([PLAN_VERSION, role, *parts], separators=(",", ":"), ensure_ascii=True)
    return int.from_bytes(blake2b(told.encode(), digest_size=8).digest(), "little")


def uniform(key: int, i: Ints) -> NDArray[np.float64]:
    """A number in [0, 1) for each of `i`, independent between keys."""
    bits = _mix(_mix(i.astype(np.uint64) ^ np.uint64(key)) + np.uint64(key))
    return (bits >> np.uint64(11)) / float(1 << 53)


def permute(i: Ints, n: int, key: int) -> Ints:
    """Where the permutation of range(n) that `key` names puts each of `i`.

    A balanced Feistel network of six rounds on the smallest even number of bits that holds n, walked until
    the value is below n: fewer than four steps on average. Constant memory, any place at once.
    """
    return _walk(i, n, _round_keys(key))


def unpermute(i: Ints, n: int, key: int) -> Ints:
    """The inverse: `unpermute(permute(i, n, key), n, key) == i`."""
    return _walk(i, n, _round_keys(key)[::-1], inverse=True)


def _round_keys(key: int) -> list[np.uint64]:
    stream = blake2b(key.to_bytes(8, "little"), digest_size=8 * _ROUNDS).digest()
    return [np.uint64(k) for k in np.frombuffer(stream, "<u8")]


def _walk(i: Ints, n: int, keys: list[np.uint64], inverse: bool = False) -> Ints:
    if len(i) and not (i.min() >= 0 and i.max() < n):
        raise ValueError(f"a place outside range({n})")
    half = max(1, ((n - 1).bit_length() + 1) // 2)
    out = _feistel(i.astype(np.uint64), half, keys, inverse)
    while len(outside := np.flatnonzero(out >= n)):
        out[outside] = _feistel(out[outside], half, keys, inverse)
    return out.astype(np.int64)


def _feistel(x: NDArray[np.uint64], half: int, keys: list[np.uint64], inverse: bool) -> NDArray[np.uint64]:
    shift, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = x >> shift, x & mask
    if inverse:
        left, right = right, left
    for k in keys:
        left, right = right, left ^ (_mix(right ^ k) & mask)
    if inverse:
        left, right = right, left
    return (left << shift) | right


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Stafford's variant 13)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
