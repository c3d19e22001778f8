"""The pipeline: steps, their graph, the cache and the runner."""
