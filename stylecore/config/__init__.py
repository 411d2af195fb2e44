"""The parameters of one picture: StyleConfig, the kinds of its fields, the presets."""
