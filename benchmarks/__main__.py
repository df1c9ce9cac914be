"""``python -m benchmarks``: run every case against every peer and print the ratios as Markdown."""

import sys

from benchmarks.command import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
