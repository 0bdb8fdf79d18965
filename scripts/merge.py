"""Join runs of one search, such as its shards: `python scripts/merge.py --help`."""

import sys

try:
    from tuning.cli.commands import merge
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(merge())
