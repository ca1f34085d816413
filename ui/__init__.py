"""The pages of finkray, and the view models that they share with the terminal."""
