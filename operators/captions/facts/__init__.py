"""Captions from measurements alone.

`palette` colours by name; `evidence` columns as facts, with `file_names`; `compose` the texts; `looks`
and `contents` what may be said, as a `statement` with its `nouns` and `colours` in both languages.
"""
