#!/usr/bin/env bash
# Builds midtrace and passes its tests. Run it with --help for its options.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: tests/run.sh [options]

Builds midtrace and runs its tests by CTest. On Debian 12 missing packages are installed first (as root, or through
sudo), without starting services; later runs need no network.

  --preset NAME   release (default), dev (AddressSanitizer and UndefinedBehaviorSanitizer) or tsan (ThreadSanitizer)
  --unit          only the hermetic tests, no servers
  --live          only the tests against servers
  --filter REGEX  only tests with a matching name
  --jobs N        compile and test with N processes at a time (default: one per processor)
  --help          this text

CI=true in the environment turns a live test that cannot run, because its server cannot be had, into a failure.
The build is in build/<preset>.
HELP
}

preset=release
label=
filter=
jobs=$(nproc)
need_value() { [ "$#" -ge 2 ] || { echo "tests/run.sh: $1 needs a value (--help lists the options)" >&2; exit 2; }; }
while [ "$#" -gt 0 ]; do
  case $1 in
    --preset) need_value "$@"; preset=$2; shift 2 ;;
    --unit) label=unit; shift ;;
    --live) label=live; shift ;;
    --filter) need_value "$@"; filter=$2; shift 2 ;;
    --jobs) need_value "$@"; jobs=$2; shift 2 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "tests/run.sh: unknown option \"$1\" (--help lists the options)" >&2; exit 2 ;;
  esac
done
case $preset in
  release | dev | tsan) ;;
  *) echo "tests/run.sh: unknown preset \"$preset\"; it must be release, dev or tsan" >&2; exit 2 ;;
esac
case $jobs in
  '' | *[!0-9]* | 0) echo "tests/run.sh: --jobs is \"$jobs\"; it must be a positive number" >&2; exit 2 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/support/packages.sh
. tests/support/packages.sh

packages=(g++ cmake ninja-build pkg-config ccache librdkafka-dev librabbitmq-dev libhiredis-dev libcurl4-openssl-dev
  zlib1g-dev libprotozero-dev libgtest-dev libgmock-dev nlohmann-json3-dev libasio-dev libspdlog-dev protobuf-compiler libprotobuf-dev libssl-dev openssl
  clang-14 libclang-rt-14-dev strace)
if [ "$label" != unit ]; then
  packages+=(ca-certificates default-jre-headless maven nginx-light binutils python3-confluent-kafka
    rabbitmq-server python3-amqp amqp-tools redis-server libevent-dev)
fi
midtrace_need "${packages[@]}"

if [ "$label" != unit ]; then
  fetch=tests/support/kafka/fetch.sh
  mkdir -p build
  if sh "$fetch" --check; then
    midtrace_say "Kafka broker for the live tests: there"
  elif ! midtrace_step "fetching the Kafka broker for the live tests" build/kafka-fetch.log sh "$fetch" \
    2>build/kafka-fetch-failure.log; then
    if [ "${CI:-}" = true ]; then
      cat build/kafka-fetch-failure.log >&2
      echo "tests/run.sh: the live tests need the Kafka broker, and CI=true forbids to leave them out" >&2
      exit 1
    fi
    midtrace_say "NOT RUN: the tests against a real Kafka broker, because it could not be fetched (build/kafka-fetch.log)"
  fi
fi

# ThreadSanitizer of clang 14 cannot place its shadow memory where the kernel randomizes addresses widely.
fixed=()
if [ "$preset" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then
  fixed=(setarch "$(uname -m)" -R)
fi

midtrace_step "configuring build/$preset" "build/$preset-configure.log" cmake --preset "$preset"
midtrace_step "building build/$preset" "build/$preset-build.log" \
  "${fixed[@]}" cmake --build "build/$preset" --parallel "$jobs"

arguments=(--preset "$preset" --parallel "$jobs")
if [ -n "$label" ]; then arguments+=(--label-regex "^$label\$"); fi
if [ -n "$filter" ]; then arguments+=(--tests-regex "$filter"); fi
midtrace_say "testing build/$preset"
exec "${fixed[@]}" ctest "${arguments[@]}"
