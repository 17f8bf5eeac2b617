"""What becomes of faces: drawn on a picture, shown in a window, written into videos and records."""
