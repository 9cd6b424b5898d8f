"""The judge: a classifier and segmenter of edits, its data set and its training."""
