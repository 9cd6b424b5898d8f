"""pocket's second image network, which reads words and depth: its data, its training, and how it is written."""
