"""Runs on disk: the directory, its tables, its manifest and its lock."""
