"""What networks are trained on: examples, shards, rendered worlds, cached latents, and the folders that hold them."""
