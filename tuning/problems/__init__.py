"""The built-in problems: each is a file of the same three names that a user's own has."""
