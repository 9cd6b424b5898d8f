"""Systems whose point is a trained network, small, on worlds: presets, their data, and how their models are written."""
