"""The protocols that are spoken over HTTP, one module each."""
