"""Write a run compactly, to be kept and passed on: `python scripts/publish.py DIR OUT`."""

import sys

from tuning.cli import publish

if __name__ == "__main__":
    sys.exit(publish())
