"""What was served and what came of it: the prediction log, feedback, and rows to train on."""
