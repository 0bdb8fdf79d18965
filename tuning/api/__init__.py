"""The calls behind the command line and notebooks: search, results, estimate, merge, replay."""
