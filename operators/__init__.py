"""Operators: pure functions that measure, decide, or write shards. Import nothing of `pipelines`."""
