"""How the pixels are moved: Adam and L-BFGS, in the graph."""
