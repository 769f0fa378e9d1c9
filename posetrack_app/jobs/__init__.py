"""Many inputs: in turn, in several processes, on a cluster; each done once."""
