"""The style losses: what is compared of two sets of features, one file each."""
