"""Embeddings for Parquet files of any size: read, embedded and written chunk after chunk, resumed after a kill."""
