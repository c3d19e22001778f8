"""Features: expressions, functions and the fitted recipe."""
