"""Tensors in, tensors out: the network, its losses, its peaks and their grouping into people."""
