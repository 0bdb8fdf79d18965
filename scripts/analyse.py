"""Print and draw what a run found: `python scripts/analyse.py DIR`."""

import sys

try:
    from tuning.cli.commands import analyse
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(analyse())
