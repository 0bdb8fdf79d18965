"""Join runs of one search, such as its shards: `python scripts/merge.py --help`."""

import sys

from tuning.cli import merge

if __name__ == "__main__":
    sys.exit(merge())
