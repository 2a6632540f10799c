"""Sources of any size without a byte on disk: lengths follow from the sample's number."""

from dataclasses import dataclass, field

import numpy as np

from thresher.loader.plan.buckets import Buckets
from thresher.loader.plan.keys import uniform
from thresher.loader.plan.pattern import Pattern, Realising, Segment

CAPTION = Segment("text", "cond", ("text",), False, "text", None)
IMAGE = Segment("image", "target", (), True, None, None)
SOURCE = Segment("image", "cond", (), False, "img", None)
TEXT = Segment("text", "target", ("text",), True, None, None)

T2I = Pattern((CAPTION, IMAGE))
EDIT = Pattern((SOURCE, CAPTION, IMAGE))
WORDS = Pattern((TEXT,))

HOW = Realising(image=Buckets(512, 16), describe=0.0)
SMALL = Realising(image=Buckets(256, 16), describe=0.0)
LARGE = Realising(image=Buckets(1024, 16), describe=0.0)


@dataclass
class Simulated:
    """`n` samples of one pattern: captions of 20 to 300 tokens, log-normal texts, images of any shape."""

    name: str
    only: Pattern
    n: int
    fingerprint: str = "simulated"
    pattern: np.ndarray = field(init=False)

    def __post_init__(self):
        self.patterns = [self.only]
        self.pattern = np.broadcast_to(np.zeros(1, np.uint16), (self.n,))

    def numbers(self, samples):
        columns = []
        for i, segment in enumerate(self.only.segments):
            u = uniform(i, samples)
            if segment.kind == "image":
                columns += [
                    (500 + 1500 * u).astype(int),
                    (500 + 1500 * uniform(i + 100, samples)).astype(int),
                ]
            elif segment.loss:
                normal = np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * uniform(i + 100, samples))
                columns.append(np.clip(np.exp(6 + 1.2 * normal), 1, 16_000).astype(int))
            else:
                columns.append((20 + 280 * u).astype(int))
        return np.stack(columns, axis=1).astype(np.int64)

    def id(self, sample):
        return f"{sample:032x}"
