"""A unified decoder: text by the next token, images by rectified flow or codes, in one pass."""
