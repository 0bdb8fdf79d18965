"""Running trials: the loop that asks and tells, what trains them, and the worker's limits."""
