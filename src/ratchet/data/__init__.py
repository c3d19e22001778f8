"""Data: sources, the versioned lake, splits and the generated scenarios."""
