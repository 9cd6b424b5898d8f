"""Measures of an edit, a file for each group."""
