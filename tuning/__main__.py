"""The command `tuning`, also as `python -m tuning`."""

import sys


def main() -> int:
    """Run the command line of this process and return its exit code."""
    try:
        from tuning.cli.commands import main
    except KeyboardInterrupt:
        return 130
    return main()


if __name__ == "__main__":
    sys.exit(main())
