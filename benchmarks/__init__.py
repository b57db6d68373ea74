"""Measures medsam2 beside other implementations of SAM 2: `python -m benchmarks.compare`, from a checkout.

Not part of the installed package. `docs/performance.md` tells how to read the results.
"""
