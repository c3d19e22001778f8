"""Where tables come from: CSV, Parquet, Delta and PostgreSQL behind one port."""
