#!/usr/bin/env bash
# Fetches UltraSam.pth; options are those of fetch.py.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-$(command -v python || command -v python3)}"
exec "$python" "$here/fetch.py" UltraSam "$@"
