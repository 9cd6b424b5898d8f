"""Training data: examples, shards, rendered worlds, cached latents, and datasets made of them."""
