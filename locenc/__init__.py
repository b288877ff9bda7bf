"""Location encoders: (longitude, latitude) in degrees in, embeddings out."""

__version__ = "0.1.0"
