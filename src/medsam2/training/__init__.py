"""Training through the same engine that segments."""
