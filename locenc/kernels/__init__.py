"""Arithmetic of the encoders, on tensors and plain numbers; knows none of the classes above it."""
