"""Suites of edits of real clips: clips x prompts x methods x models x seeds, made, measured, and told on one page."""
