"""What a retraining policy would have done: history replayed through the real decisions."""
