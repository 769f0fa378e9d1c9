"""Arrays in, arrays out: similarity, motion, association and the tracker."""
