"""Where tests of clips look for the tiny network."""

from training.tiny_runs import TINY

__all__ = ["TINY"]
