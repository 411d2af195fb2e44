"""The output directory: its paths, records and commits, on local disks and gs://."""
