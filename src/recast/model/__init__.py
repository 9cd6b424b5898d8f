"""A model on disk: what its folder holds, and what it says of itself."""
