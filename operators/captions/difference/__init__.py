"""`caption.diff`: what sets the pictures of a record apart.

`pairs` the operator; `diff` of two pictures, `multi` of several.
"""
