#!/usr/bin/env bash
# demo.sh [FOLDER] [--no-browser] [--port N] [--listeners N] [--once]: your own Spotify on this machine; --help says more.
set -euo pipefail
project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=local/setup.sh
source "$project/local/setup.sh"
overtone_setup "$project"
export OVERTONE_HOME=${OVERTONE_HOME:-$project/.overtone}
PYTHONPATH=$project exec "$project/.venv/bin/python" -P -m local.demo "$@"
