"""Curation: footage to shards of training examples, by shot detection, filters, captions and cached conditioning."""
