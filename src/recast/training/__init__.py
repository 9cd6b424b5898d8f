"""Training stages, presets, their costs, and the model folders that they write."""
