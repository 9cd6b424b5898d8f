"""Claims of papers, measured: what each says as a contrast of two arms on the same worlds and seeds."""
