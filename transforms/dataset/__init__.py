"""The gallery as a Hugging Face dataset."""
