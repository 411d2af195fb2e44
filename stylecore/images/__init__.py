"""Foreign bytes to RGB pixels and back: bounds, decoding, colour, PNG."""
