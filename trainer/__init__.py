"""A small, exact trainer: shards in, a unified model learning, to measure what curation changed."""
