"""`thresher evaluate captions`: caption columns by checks, verdicts, similarity and people, side by side.

`texts` what of a record is scored; `measures` a sum and a count for each record; `ratings` what people said;
`paired` differences on the same records, with intervals; `command` what the command does and prints.
"""
