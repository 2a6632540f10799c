"""`caption.reason`: requests, thoughts and refined captions from verified claims.

`reason` the operator; `simulate` makes a `sample` with its `thought`; `rewrite` and `said` compare texts by
rule, `judging` by a model.
"""
