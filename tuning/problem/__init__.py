"""A problem: its grid, its data and its models, as a user writes them."""
