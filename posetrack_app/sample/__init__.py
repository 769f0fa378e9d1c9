"""A drawn clip with exact ground truth."""
