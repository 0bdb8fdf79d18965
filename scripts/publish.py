"""Write a run compactly, to be kept and passed on: `python scripts/publish.py DIR OUT`."""

import sys

try:
    from tuning.cli.commands import publish
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(publish())
