#!/usr/bin/env bash
# test.sh [pytest arguments]: sets up and runs all tests but tests/faults and tests/soak, with the linters and type checks first,
# and tests/cluster, which wants the cores for itself, last, with one of its kills.
# ./test.sh tests/unit runs the quick part; ./test.sh tests/faults the long ones; ./test.sh tests/cluster with the kills.
set -euo pipefail
project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=local/setup.sh
source "$project/local/setup.sh"
overtone_setup "$project" dev

if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "test.sh: installing Chromium for the browser tests …" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >"$project/.venv/chromium.log" 2>&1 ||
      overtone_fail "Chromium could not be installed, see $project/.venv/chromium.log; install it by hand, for example: apt install chromium"
  else
    overtone_fail "no Chromium for the browser tests; install it, for example: sudo apt install chromium"
  fi
fi

python=$project/.venv/bin/python
# Settings of a demo that runs elsewhere must not reach the tests.
for name in $(compgen -e | grep '^OVERTONE_' || true); do unset "$name"; done
# ESLint and TypeScript for ui/static, by the node that pip brought; once for each lock file.
scripts=$project/tests/js
wanted=$(cksum <"$scripts/package-lock.json")
with_node=$project/.venv/bin:$PATH
if ! grep -qsxF "$wanted" "$scripts/node_modules/.overtone"; then
  echo "test.sh: installing ESLint and TypeScript, once …" >&2
  PATH=$with_node npm ci --prefix "$scripts" --ignore-scripts --no-progress >"$project/.venv/npm.log" 2>&1 ||
    overtone_fail "npm could not install $scripts/package-lock.json, see $project/.venv/npm.log"
  echo "$wanted" >"$scripts/node_modules/.overtone"
fi

"$python" -m ruff check --quiet "$project"
# The scripts are checked beside the types, which take longer.
(
  cd "$project" # where the paths in "shellcheck source=" begin
  PATH=$with_node
  shellcheck -x -- *.sh local/*.sh .ci/run
  "$scripts/node_modules/.bin/eslint" --config "$scripts/eslint.config.js" ui/static tests/js
  "$scripts/node_modules/.bin/tsc" --project "$scripts"
) &
scripts_check=$!
code=0
"$python" -m mypy --config-file "$project/pyproject.toml" "$project/conf" "$project/batch" "$project/streaming" "$project/ui" "$project/local" ||
  code=$?
wait "$scripts_check" || code=$?
[ "$code" = 0 ] || exit "$code"
# Options alone leave the choice of tests as it is, and three workers share them: most tests of player and services wait. A
# path, or a path::test, chooses; then there is one worker, unless -n asks for more.
run_tests=("$python" -m pytest -c "$project/pyproject.toml" --rootdir "$project")
for argument in "$@"; do
  if [ -e "${argument%%::*}" ]; then exec "${run_tests[@]}" "$@"; fi
done
"${run_tests[@]}" "$project/tests" --ignore "$project/tests/faults" --ignore "$project/tests/soak" --ignore "$project/tests/cluster" -n 3 "$@" ||
  code=$?
"${run_tests[@]}" "$project/tests/cluster" -m "not kills" "$@" || { last=$?; [ "$last" = 5 ] || code=$last; } # 5: -k and the like chose none
exit "$code"
