"""The run report: one self-contained HTML page made from the facts of a run."""
