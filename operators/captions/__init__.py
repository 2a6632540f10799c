"""Captions whose every claim carries its evidence and a verdict.

`record` the caption record; `taxonomy` its closed lists; `palette` colours by name; `evidence` what measured
columns say of a picture; `facts` captions from that alone (`looks` and `contents`: what may be said); `look`
and `write` captions by a model; `checks/` what a text must pass; `rebuild` a text without some of its claims;
`caption`, `check`, `draw`, `pairs`, `reason` the operators.
"""
