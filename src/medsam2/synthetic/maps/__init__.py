"""Label maps of real anatomy that scenes are painted from."""
