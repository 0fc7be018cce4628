"""``python -m ultrasam.cli``: the command ``ultrasam``, where it is not on the path."""

import sys

from ultrasam.cli.main import main

sys.exit(main())
