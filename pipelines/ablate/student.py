"""Student's t for whole degrees of freedom, in closed form: numpy has none, and scipy is no dependency."""

import math


def below(t: float, free: int) -> float:
    """The chance of a value below `t` with `free` >= 1 degrees of freedom.

    Finite trigonometric sums: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(free))
    sine, cosine = math.sin(angle), math.cos(angle)
    term, total = (cosine, 0.0) if free % 2 else (1.0, 0.0)
    for k in range(free % 2 + 1, free, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    inside = 2 / math.pi * (angle + sine * total) if free % 2 else sine * total
    return (1 + inside) / 2


def quantile(share: float, free: int) -> float:
    """The value that a `share` in (0, 1) of draws lies below, by bisection to 1e-12 of itself."""
    if share < 0.5:
        return -quantile(1 - share, free)
    low, high = 0.0, 1.0
    while below(high, free) < share:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle, free) < share else (low, middle)
    return high
