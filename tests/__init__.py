"""Tests mirror the tree of the packages; what they share is in tests/support."""
