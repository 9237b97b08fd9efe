#!/usr/bin/env bash
# The main example: orders travel through Kafka between two processes, and the traces are drawn. See --help.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: examples/run.sh [options]

Builds the example and midtrace-view, then runs two processes: `checkout` takes orders and produces them to Kafka,
`fulfilment` consumes them, some one by one and some in batches. Both write their spans to files of OTLP/JSON lines; in
the end the traces of both together are drawn in the terminal. Unless told otherwise, `checkout` brings librdkafka's own
small broker along, so no server is needed. On Debian 12 missing packages are installed first (as root, or through
sudo); later runs need no network.

  --orders N             how many orders (default: 10)
  --output DIR           keep the files there: checkout.jsonl, fulfilment.jsonl and the programs' own output
  --bootstrap HOST:PORT  use this Kafka instead of the small broker
  --help                 this text

The build is in build/examples.
HELP
}

orders=10
output=
bootstrap=
need_value() { [ "$#" -ge 2 ] || { echo "examples/run.sh: $1 needs a value (--help lists the options)" >&2; exit 2; }; }
while [ "$#" -gt 0 ]; do
  case $1 in
    --orders) need_value "$@"; orders=$2; shift 2 ;;
    --output) need_value "$@"; output=$2; shift 2 ;;
    --bootstrap) need_value "$@"; bootstrap=$2; shift 2 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "examples/run.sh: unknown option \"$1\" (--help lists the options)" >&2; exit 2 ;;
  esac
done
case $orders in
  '' | *[!0-9]* | 0*) echo "examples/run.sh: --orders is \"$orders\"; it must be a positive number" >&2; exit 2 ;;
esac
case $bootstrap in
  '' | *?:[0-9]*) ;;
  *) echo "examples/run.sh: --bootstrap is \"$bootstrap\"; it must be HOST:PORT" >&2; exit 2 ;;
esac
# Relative to where the user is, not to the repository.
if [ -n "$output" ]; then
  mkdir -p "$output"
  output=$(cd "$output" && pwd)
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/support/packages.sh
. tests/support/packages.sh

midtrace_need g++ cmake ninja-build pkg-config librdkafka-dev librabbitmq-dev libhiredis-dev nlohmann-json3-dev \
  libcurl4-openssl-dev zlib1g-dev libprotozero-dev

build=build/examples
# Warnings stop nobody who only wants to see it. In CI the flags are those of the tests, whose objects ccache then has.
strict=OFF
if [ "${CI:-}" = true ]; then strict=ON; fi
midtrace_step "configuring $build" build/examples-configure.log \
  cmake --preset release -B "$build" -D MIDTRACE_TESTS=OFF -D MIDTRACE_EXAMPLES=ON -D MIDTRACE_VIEW=ON \
  -D MIDTRACE_KAFKA=ON -D CMAKE_COMPILE_WARNING_AS_ERROR="$strict"
midtrace_step "building $build" build/examples-build.log \
  cmake --build "$build" --parallel "$(nproc)" --target order_checkout order_fulfilment midtrace-view

work=$(mktemp -d "${TMPDIR:-/tmp}/midtrace-example.XXXXXX")
checkout=
fulfilment=
clean_up() {
  local status=$? pid
  trap - EXIT INT TERM HUP
  for pid in $checkout $fulfilment; do
    if kill "$pid" 2>/dev/null; then
      # Two seconds to leave in order, then by force.
      for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null && sleep 0.2; done
      kill -9 "$pid" 2>/dev/null || true
    fi
  done
  rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

kept=${output:-$work}
rm -f "$kept/checkout.jsonl" "$kept/fulfilment.jsonl"
export OTEL_TRACES_EXPORTER=otlp_file
start=$work/start # checkout writes it when its broker is ready, fulfilment reads it

# Prints why the run failed, and what the programs said.
fail() {
  local name
  echo "examples/run.sh: $1" >&2
  for name in checkout fulfilment; do
    if [ -s "$kept/$name.log" ]; then
      echo "--- $name said:" >&2
      tail -n 30 "$kept/$name.log" >&2
    fi
  done
  exit 1
}

began=$SECONDS
deadline=$((SECONDS + 60 + orders / 100))
# Waits until `condition` holds; fails when a program ends with an error first, or at the deadline.
wait_until() {
  local what=$1 condition=$2 status
  until eval "$condition"; do
    if [ -n "$checkout" ] && ! kill -0 "$checkout" 2>/dev/null; then
      status=0
      wait "$checkout" || status=$?
      checkout=
      fail "checkout ended with exit code $status before $what"
    fi
    [ "$SECONDS" -lt "$deadline" ] || fail "$what did not happen within $((deadline - began)) s"
    sleep 0.05
  done
}

midtrace_say "running: $orders orders from checkout to fulfilment"
arguments=(--orders "$orders" --start-file "$start")
if [ -n "$bootstrap" ]; then arguments+=(--bootstrap "$bootstrap"); fi
MIDTRACE_OTLP_FILE=$kept/checkout.jsonl "$build/examples/order_checkout" "${arguments[@]}" \
  >"$kept/checkout.log" 2>&1 </dev/null &
checkout=$!
# shellcheck disable=SC2016 # evaluated by wait_until
wait_until "its broker was ready" '[ -s "$start" ]'

MIDTRACE_OTLP_FILE=$kept/fulfilment.jsonl "$build/examples/order_fulfilment" \
  --orders "$orders" --start-file "$start" >"$kept/fulfilment.log" 2>&1 </dev/null &
fulfilment=$!
# shellcheck disable=SC2016
wait_until "fulfilment had every order" '! kill -0 "$fulfilment" 2>/dev/null'
status=0
wait "$fulfilment" || status=$?
fulfilment=
[ "$status" -eq 0 ] || fail "fulfilment ended with exit code $status"

touch "$start.done"
status=0
while kill -0 "$checkout" 2>/dev/null; do
  [ "$SECONDS" -lt "$deadline" ] || fail "checkout did not end within $((deadline - began)) s"
  sleep 0.05
done
wait "$checkout" || status=$?
checkout=
[ "$status" -eq 0 ] || fail "checkout ended with exit code $status"
midtrace_say "running: done in $((SECONDS - began)) s"

for name in checkout fulfilment; do
  [ -s "$kept/$name.jsonl" ] || fail "$name wrote no spans"
done
echo
"$build/common/view/midtrace-view" "$kept/checkout.jsonl" "$kept/fulfilment.jsonl"
if [ -n "$output" ]; then
  echo
  echo "The spans are in $output/checkout.jsonl and $output/fulfilment.jsonl."
fi
