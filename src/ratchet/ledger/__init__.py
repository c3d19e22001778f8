"""The ledger: every run, decision and version, append-only."""
