"""The search for the best configurations within a budget of time or trials."""
