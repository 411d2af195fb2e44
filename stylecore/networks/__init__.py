"""The backbones: names and shapes of their layers, features, arithmetic, weights."""
