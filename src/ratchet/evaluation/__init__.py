"""Evaluation: metrics with intervals, paired comparison, slices and plots."""
