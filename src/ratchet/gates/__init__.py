"""Gates: what a model must prove before it may replace another."""
