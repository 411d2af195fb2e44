"""The finished runs as a Hugging Face dataset."""

# What dataset/ holds: nothing, rows with paths of pictures, or rows with the pictures themselves.
DATASET_MODES = ("none", "metadata", "full")
