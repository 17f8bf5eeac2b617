"""Finds faces (`mtcnn`) and follows them through a video (`finder`, `track`)."""
