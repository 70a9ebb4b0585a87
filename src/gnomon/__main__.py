"""The `gnomon` command."""

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    try:
        from gnomon.command.root import run
    except ModuleNotFoundError as error:
        from gnomon.runtime.extras import EXTRA_OF_MODULE, missing_extra

        if error.name is None or EXTRA_OF_MODULE.get(error.name) != "cli":
            raise
        print(f"gnomon: {missing_extra('the command line', error.name, 'cli')}", file=sys.stderr)
        return 2
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
