"""Where tables come from: CSV, Parquet, Delta and PostgreSQL."""
