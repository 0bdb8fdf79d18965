"""Print and draw what a run found: `python scripts/analyse.py DIR`."""

import sys

from tuning.cli import analyse

if __name__ == "__main__":
    sys.exit(analyse())
