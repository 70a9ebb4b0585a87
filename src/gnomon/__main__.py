"""The `gnomon` command."""

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    try:
        from gnomon.command.root import run
    except ModuleNotFoundError as error:
        if error.name in {"click", "rich", "httpx"}:
            print(
                f"gnomon: the command line needs {error.name}; "
                "install it with: pip install 'gnomon[cli]'",
                file=sys.stderr,
            )
            return 2
        raise
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
