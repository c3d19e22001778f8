"""When to train again: facts, policies, and a decision that is a pure function of both."""
