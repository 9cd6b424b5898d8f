"""Trained weights as encode, denoise and decode: a folder for each family of networks; `families` is their table."""
