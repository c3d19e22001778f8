"""One encoder per way of turning a column into numbers; they need nothing but NumPy."""
