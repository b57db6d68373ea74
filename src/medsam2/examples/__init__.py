"""Labelled images that come with the package, to demonstrate and test on."""

from medsam2.examples.example_case import EXAMPLE_NAMES, ExampleCase, example_case

__all__ = ["EXAMPLE_NAMES", "ExampleCase", "example_case"]
