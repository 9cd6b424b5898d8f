"""One edit: the request, what it comes to for a model and a clip, its stages, and the record of the run."""
