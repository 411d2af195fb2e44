"""The loss of a batch of pictures and its gradient."""
