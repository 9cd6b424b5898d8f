"""The judge: the network that says what an edit shows, its data set and its training."""
