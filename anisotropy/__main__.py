"""``python -m anisotropy`` is the command line program."""

import sys

from anisotropy.cli import main

if __name__ == "__main__":
    sys.exit(main())
