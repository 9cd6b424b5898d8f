"""Test cases: the clips and edits that a model is evaluated on."""
