"""Captions whose every claim carries its evidence and a verdict.

`record` the caption record, `taxonomy` its closed lists, `columns` what of it stands in columns; `caption`
the operator, by a model (`look`, then `write`) or from `facts/` alone; `checks/` what a text must pass,
`finding` what a check says, `rebuild` a text without some of its claims; `verify/`, `draw/`, `reason/`,
`difference/` the operators after it; `prompts/` and `prompting` what models are told; `language/` the words
of English and Chinese.
"""
