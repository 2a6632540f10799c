"""`caption.check`: each claim by itself before a second model.

`check` the operator; `verifier` the conversation; `claims` questions and verdicts; `gate` and `decoys`
whether the verifier is to be trusted; `calibration` its probabilities; `abstention` risk and coverage.
"""
