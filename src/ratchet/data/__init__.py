"""Tables in: sources, the versioned lake, split, sampling, and generated data for trying it out."""
