"""Packaging: the bundle, its model form, and the card."""
