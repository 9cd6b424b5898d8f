"""Media files to frames and back, one frame at a time: read, resize, write, the run's record and contact sheets."""
