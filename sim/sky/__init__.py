"""What the makers of all surveys share: positions, objects and their light curves."""
