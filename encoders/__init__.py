"""Frozen models that turn images into tokens and features, while training or once before it."""
