"""The model that ships: its stages in order, and how it is written."""
