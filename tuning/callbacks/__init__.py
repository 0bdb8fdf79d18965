"""Listeners to a search: progress bars on a terminal and in a notebook."""
