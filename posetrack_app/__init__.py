"""The application: reads videos, runs the network and the tracker, writes results."""
