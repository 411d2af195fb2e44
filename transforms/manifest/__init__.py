"""The manifest: Parquet files become valid rows, and failures for the rows that are not valid."""
