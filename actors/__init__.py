"""Services that ship with finkray: what a user could have written with it."""
