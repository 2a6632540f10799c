"""Caption columns of a run, as report, `thresher label` and `thresher evaluate` read them.

`columns` which columns hold caption records, and a sample of them; `verdicts` what became of a sentence;
`disagreement` how far two captioners are apart; `unwritten` what a run says of records without text; `told` a
record for a terminal.
"""
