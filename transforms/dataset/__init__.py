"""The gallery as a Hugging Face dataset."""

# What dataset/ holds: nothing, rows with the paths of their pictures, or rows with their pictures.
DATASET_MODES = ("none", "metadata", "full")
