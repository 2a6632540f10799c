"""The pixel hash: equal pictures in different files."""

import hashlib

import numpy as np


def pixel_sha(decoded: np.ndarray) -> bytes:
    """SHA-256 (32 bytes) of width and height (32-bit little-endian), the RGB rows, then the alpha plane.

    `decoded` is the view of that name: uint8 (h, w, 3 or 4). Alpha counts only where it is not fully
    opaque, so that a lossless re-save with or without an alpha channel has the same hash. Comparable
    only between equal `decoder_versions()`.
    """
    height, width = decoded.shape[:2]
    digest = hashlib.sha256(width.to_bytes(4, "little") + height.to_bytes(4, "little"))
    digest.update(np.ascontiguousarray(decoded[:, :, :3]).data)
    if decoded.shape[2] == 4:
        alpha = np.ascontiguousarray(decoded[:, :, 3])
        if alpha.min() < 255:
            digest.update(alpha.data)
    return digest.digest()
