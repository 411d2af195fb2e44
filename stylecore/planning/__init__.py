"""What shares a batch, what it costs, and what is too small: known without TensorFlow."""
