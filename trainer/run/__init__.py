"""Training: the loop, what it saves, what it tells."""
