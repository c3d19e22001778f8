"""Training: algorithms, cross-validation and the choice among candidates."""
