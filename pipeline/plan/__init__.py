"""`stylebeam plan`: what a job would do, computed without doing it."""
