"""The manifest: Parquet files to valid rows, and failures for the others."""
