"""Contrastive spatial pre-training (CSP) on top of locenc."""
