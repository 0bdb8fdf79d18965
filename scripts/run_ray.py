"""Search a grid of Keras hyperparameters on Ray: `python scripts/run_ray.py --help`."""

import sys

try:
    from tuning.cli.commands import run_ray
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(run_ray())
