"""The page on which a run is looked at and corrected."""
