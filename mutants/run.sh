#!/usr/bin/env bash
# Applies each mutation of mutants/*.toml to a copy of the tree and runs the tests that must notice.
#   mutants/run.sh                 all of them
#   mutants/run.sh limit core-path those whose name begins so
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
