"""Running trials: the loop that asks and tells, what trains them, and the worker's limits."""

import logging
import warnings

# Where Ray is imported in a notebook, it and the tqdm that it imports ask for ipywidgets, which
# they are not used with here.
logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message="IProgress not found")
