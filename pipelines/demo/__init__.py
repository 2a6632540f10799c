"""A pool of planted samples with a known truth, and the check of a run against it."""

from thresher.pipelines.demo.check import Comparison, compare
from thresher.pipelines.demo.pool import Summary, make_pool
from thresher.pipelines.demo.truth import Truth, read_truth

__all__ = ["Comparison", "Summary", "Truth", "compare", "make_pool", "read_truth"]
