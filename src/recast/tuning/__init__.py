"""Tuning: a trained generator learns from one clip, or a few pictures, what an adapter folder then holds."""
