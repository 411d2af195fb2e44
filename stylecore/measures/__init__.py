"""Measures of a picture: numbers to compare pictures by, none of them what was optimised."""
