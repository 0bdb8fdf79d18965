"""What the tables of a run say: comparison of the strategies, and plots."""
