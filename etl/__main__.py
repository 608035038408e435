"""``python -m etl``, and the script ``etl``."""

import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command, then end the process at once: Python would free all it holds, one by one, for a fifth of a second."""
    from etl.cli.app import app  # a process that judges lines imports this module too

    try:
        app()
    except SystemExit as end:
        if isinstance(end.code, int):
            with suppress(OSError):  # Python itself reports what cannot be written any more
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(end.code)
        raise


if __name__ == "__main__":
    main()
