"""Commands that measure: each prints tables or writes a file, and none is needed to recognise."""
