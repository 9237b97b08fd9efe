#!/bin/bash
# Runs every fuzz program of a build for some time and fails on a finding.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/fuzz/run.sh [--seed NUMBER] SECONDS [BUILD_DIR]

Runs each midtrace_fuzz_* program below BUILD_DIR (default: build/fuzz) for SECONDS seconds, beginning with the corpus in
tests/fuzz/corpus. New inputs go to BUILD_DIR/fuzz-corpus, findings to BUILD_DIR/fuzz-findings. The corpus in the
repository is not changed. Fails when a program found something, or when there is none.

  --seed NUMBER  the same inputs in the same order in every run that starts from the same corpus (default: others
                 each time)
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
esac
seed=0
if [[ "${1:-}" == --seed && "${2:-}" =~ ^[1-9][0-9]*$ ]]; then
  seed=$2
  shift 2
fi
if [[ $# -lt 1 || $# -gt 2 || ! "$1" =~ ^[1-9][0-9]*$ ]]; then
  usage >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
seconds=$1
build=${2:-$here/../../build/fuzz}
if [[ ! -d $build ]]; then
  echo "run.sh: no directory $build; build the preset fuzz first, or name its directory" >&2
  exit 2
fi
build=$(cd "$build" && pwd)

mapfile -t programs < <(find "$build" -type f -name 'midtrace_fuzz_*' -perm -u+x | sort)
if [[ ${#programs[@]} -eq 0 ]]; then
  echo "run.sh: no midtrace_fuzz_* program below $build; build the preset fuzz first" >&2
  exit 2
fi

failed=()
for program in "${programs[@]}"; do
  name=$(basename "$program")
  name=${name#midtrace_fuzz_}
  found="$build/fuzz-corpus/$name"
  findings="$build/fuzz-findings/$name"
  mkdir -p "$found" "$findings"
  echo "fuzz $name: $seconds s"
  log="$findings/log.txt"
  corpus=("$found")
  if [[ -d $here/corpus/$name ]]; then corpus+=("$here/corpus/$name"); fi
  if "$program" -seed="$seed" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=20000 -len_control=20 \
    -print_final_stats=1 -artifact_prefix="$findings/" "${corpus[@]}" >"$log" 2>&1; then
    grep -E 'stat::number_of_executed_units|stat::average_exec_per_sec' "$log" | sed 's/^/  /'
  else
    tail -n 40 "$log"
    echo "fuzz $name: FAILED, input and log in $findings"
    failed+=("$name")
  fi
done

if [[ ${#failed[@]} -gt 0 ]]; then
  echo "fuzz: findings in ${failed[*]}"
  exit 1
fi
echo "fuzz: ${#programs[@]} programs, no findings"
