"""``python -m etl``, and the script ``etl``."""

import gc
import os
import sys
from contextlib import suppress

#: Python looks for objects that refer to each other in circles after so many new ones. Items of evidence never do.
GC_THRESHOLD = 50_000


def main() -> None:
    """Run the command, then end the process at once: Python would free all it holds, one by one, for a fifth of a second."""
    gc.set_threshold(GC_THRESHOLD)
    # Arrow's allocator, which reads this as it is loaded, often gives memory back: the kernel would empty huge pages each time
    os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
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
