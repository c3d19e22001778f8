"""Reading settings: files, overlays, environment variables and --set, each with its origin."""
