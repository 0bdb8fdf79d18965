"""Running trials: the loop that asks and tells, what trains them, and the worker's limits."""

import logging

# Where Ray is imported in a notebook, it asks for ipywidgets, which it is not used with here.
logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
