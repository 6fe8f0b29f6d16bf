"""Weights of other projects: safe readers, and rules for their names."""
