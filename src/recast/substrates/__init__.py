"""Clips as few pictures: a canonical image, or layers of an atlas, fitted to a clip; edits of them rendered back."""
