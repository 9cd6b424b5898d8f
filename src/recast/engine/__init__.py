"""The training engine: loop, state, checkpoints, distribution, logs and random numbers. It knows no models or data."""
