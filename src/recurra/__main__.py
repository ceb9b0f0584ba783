"""`python -m recurra`: the command `recurra`, in the way in which torchrun starts it."""

import sys

from recurra.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
