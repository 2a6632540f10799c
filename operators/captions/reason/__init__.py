"""`caption.reason`: requests, thoughts and refined captions from verified claims.

`reason` the operator; `simulate` makes a `sample` with its `thought`; `rewrite`, `said` and `lexicon` compare
texts by rule, `judging` by a model.
"""
