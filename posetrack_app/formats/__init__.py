"""One module a file format: each reads or writes `Poses`."""
