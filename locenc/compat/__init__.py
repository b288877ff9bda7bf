"""Weights that other projects published: one module for each project."""
