"""Where an archive lies: the seam to the file system, and how files are named and laid out."""
