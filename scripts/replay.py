"""Run a search many times over a table of results: `python scripts/replay.py TABLE`."""

import sys

from tuning.cli import replay

if __name__ == "__main__":
    sys.exit(replay())
