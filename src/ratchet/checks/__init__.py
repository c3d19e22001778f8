"""Checks: what must hold of the data before anything is trained on it."""
