"""What is measured of a finished run, and what is decided by that."""
