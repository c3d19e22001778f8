"""Features: expressions, functions and the recipe that turns raw rows into a matrix."""
