"""Weights that ship with the project, and a model card for each."""
