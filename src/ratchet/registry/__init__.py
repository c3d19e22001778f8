"""Registry: model versions in MLflow, and their promotion."""
