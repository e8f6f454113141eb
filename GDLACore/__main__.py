"""``python -m GDLACore`` is the ``gdla`` command, also where no script was installed."""

import sys

from GDLACore.cli import main

if __name__ == "__main__":
    sys.exit(main())
