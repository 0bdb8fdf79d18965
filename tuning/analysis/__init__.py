"""Statistics of a run's tables, and no text."""
