"""`stylebeam status`: the progress of a job, read from its output directory."""
