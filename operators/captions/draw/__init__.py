"""`caption.draw`: one of many texts for each record.

`draw` the operator; `candidates` what it draws from; `weights` SANA's odds; `synthesis` and `weave` texts put
together from claims; `share` how much machines wrote; `dice` the random numbers.
"""
