"""``ultrasam data clean-pool``, under the name of the published code."""

from __future__ import annotations

import sys

from ultrasam.cli.data import script

main = script('clean-pool', __file__)

if __name__ == '__main__':
    sys.exit(main())
