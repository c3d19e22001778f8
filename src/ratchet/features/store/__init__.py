"""The feature store: the newest feature row of every entity, read by id while serving."""
