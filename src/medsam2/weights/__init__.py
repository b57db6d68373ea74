"""Published and own weights: what there is, where it lies, and how it becomes a network."""
