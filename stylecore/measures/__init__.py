"""Measures of a picture, in plain NumPy: numbers to compare pictures by, none of them what was optimised."""
