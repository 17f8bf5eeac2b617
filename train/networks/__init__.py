"""Encoders by name, and the face model that inference keeps."""
