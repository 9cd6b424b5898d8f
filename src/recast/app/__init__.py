"""Edits over HTTP: an API over the queue of jobs. Nothing about diffusion."""
