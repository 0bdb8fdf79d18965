"""Run a search many times over a table of results: `python scripts/replay.py TABLE`."""

import sys

try:
    from tuning.cli.commands import replay
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(replay())
