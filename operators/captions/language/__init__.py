"""Words of English and Chinese, for whoever reads or writes captions.

`words` words, sentences, quotes; `numbers`; `colours`; `lexicon` concepts; `names` what is capitalised and
names no entity; `traditional` signs read as simplified ones. How models refuse stands in
`operators/models/chat/refusals.py`.
"""
