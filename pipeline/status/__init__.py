"""`stylebeam status`: how far a job is."""
