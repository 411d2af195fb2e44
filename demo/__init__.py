"""The inputs of `make demo`: photographs as contents, and paintings of our own as styles."""
