"""How a new version gets its traffic: shadow, canary, experiment, and the way back."""
