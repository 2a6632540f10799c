"""Pipelines: recipes, plans, the column store, execution, reports and the command line."""
