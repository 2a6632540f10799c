"""Exact and near duplicates: hashes (Measures), and the steps that keep one of each group (Decides)."""
