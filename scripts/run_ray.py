"""Search a grid of Keras hyperparameters on Ray: `python scripts/run_ray.py --help`."""

import sys

from tuning.cli import run_ray

if __name__ == "__main__":
    sys.exit(run_ray())
