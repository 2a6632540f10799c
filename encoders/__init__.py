"""Rows to tensors: frozen models turn images into tokens and features, while training or once before it."""
