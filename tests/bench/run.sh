#!/usr/bin/env bash
# Builds midtrace_bench and prints the table of budgets. See --help.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: tests/bench/run.sh [options]

Builds the benchmark program (preset bench) and runs it: each budget with what was measured and whether it holds.
The other programs of this machine disturb the figures less than one would fear, because the CPU time of threads is
measured, but an idle machine is still better. On Debian 12 missing packages are installed first.

  --json FILE    also writes the rows to FILE, as a JSON array
  --filter TEXT  only the cases whose name contains TEXT
  --quick        fewer rounds
  --long         looks for growth up to 10^7 messages instead of 10^6
  --list         only the names of the cases
  --help         this text

Exit code: 0 when every budget holds, 1 when one does not or nothing could be measured.
HELP
}

arguments=()
here=$PWD
while [ "$#" -gt 0 ]; do
  case $1 in
    --json | --filter)
      [ "$#" -ge 2 ] || { echo "tests/bench/run.sh: $1 needs a value (--help lists the options)" >&2; exit 2; }
      value=$2
      # Relative to where the user is.
      if [ "$1" = --json ] && [ "${value#/}" = "$value" ]; then value=$here/$value; fi
      arguments+=("$1" "$value")
      shift 2
      ;;
    --quick | --long | --list) arguments+=("$1"); shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "tests/bench/run.sh: unknown option \"$1\" (--help lists the options)" >&2; exit 2 ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/support/packages.sh
. tests/support/packages.sh

midtrace_need g++ cmake ninja-build pkg-config librdkafka-dev librabbitmq-dev libcurl4-openssl-dev zlib1g-dev libprotozero-dev
midtrace_step "configuring build/bench" build/bench-configure.log cmake --preset bench
midtrace_step "building build/bench" build/bench-build.log cmake --build build/bench --parallel "$(nproc)" --target midtrace_bench
midtrace_say "measuring"
exec build/bench/tests/bench/midtrace_bench "${arguments[@]}"
