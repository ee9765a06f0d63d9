"""Data sets of the Hugging Face Hub by name, read from their Parquet files."""
