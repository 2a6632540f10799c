"""Record ids, and random numbers that are pure functions of an id (algorithms of record identity).

An id is BLAKE2b-128 of (source name, key). It never holds an absolute path, so a mount may move.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

ID_BYTES = 16


def record_id(source: str, key: bytes) -> bytes:
    """16-byte id of the record `key` (raw bytes) in `source`."""
    digest = hashlib.blake2b(digest_size=ID_BYTES)
    digest.update(source.encode())
    digest.update(b"\x00")
    digest.update(key)
    return digest.digest()


def id_halves(ids: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Both halves of ids, shape (n, 16) uint8, as big-endian uint64; the first is the `id_hash`."""
    words = np.ascontiguousarray(ids).view(">u8").astype(np.uint64)
    return words[:, 0], words[:, 1]


def mix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele et al. 2014): a bijection on 64 bits."""
    x = x.astype(np.uint64, copy=True)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def keyed_hash(id_hash: NDArray[np.uint64], purpose: str, seed: int) -> NDArray[np.uint64]:
    """One 64-bit hash for each id, independent between purposes and seeds."""
    key = hashlib.blake2b(f"{purpose}\x00{seed}".encode(), digest_size=8).digest()
    return mix64(id_hash ^ np.uint64(int.from_bytes(key, "big")))


def uniform(id_hash: NDArray[np.uint64], purpose: str, seed: int) -> NDArray[np.float64]:
    """One number in the open interval (0, 1) for each id."""
    bits = keyed_hash(id_hash, purpose, seed) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53
