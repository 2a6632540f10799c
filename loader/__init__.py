"""Plan-then-read loading of exports: every row of every step follows from keys, and is read by offset."""
