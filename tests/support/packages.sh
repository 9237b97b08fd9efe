#!/usr/bin/env bash
# Set-up shared by tests/run.sh, examples/run.sh and .ci/run: Debian packages and progress lines. Source it in bash.
#
#   midtrace_need <package>...    installs what is missing on Debian 12, after saying which packages and why; elsewhere
#                                 it prints the list and fails, unless every tool is there already
#   midtrace_say <text>           one progress line with the seconds since the script began
#   midtrace_step <text> <log> <command>...
#                                 runs a long command into a log file: a line when it begins, one every 20 s with the
#                                 log's last line, one when it is done; on failure the log's end, and its exit code
#
# Installing starts no service (policy-rc.d answers 101 meanwhile), reinstalls nothing, and touches the network only
# when a package is missing. Executed instead of sourced, as root, it is that one act: packages.sh --install <package>...

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -eu
  [ "${1:-}" = --install ] || { echo "usage: packages.sh --install <package>..." >&2; exit 2; }
  shift

  # Two scripts at once must not restore each other's policy.
  exec 9>/run/lock/midtrace-packages.lock
  flock 9

  policy=/usr/sbin/policy-rc.d
  mark='# Written by the midtrace scripts while they install packages; it may be deleted.'
  restore() {
    if [ -e "$policy.midtrace-saved" ] || [ -L "$policy.midtrace-saved" ]; then
      mv -f "$policy.midtrace-saved" "$policy"
    elif [ -f "$policy" ] && grep -qsF "$mark" "$policy"; then
      rm -f "$policy"
    fi
  }
  restore # what a killed run left behind
  trap restore EXIT
  trap 'exit 130' INT TERM HUP
  if [ -e "$policy" ] || [ -L "$policy" ]; then
    mv "$policy" "$policy.midtrace-saved"
  fi
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
  chmod 755 "$policy"

  export DEBIAN_FRONTEND=noninteractive
  apt=(apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
  "${apt[@]}" update || echo "apt-get update failed; trying with the package lists that are there"
  "${apt[@]}" install -y --no-install-recommends "$@" </dev/null
  exit 0
fi

midtrace_say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }

midtrace_step() {
  local text=$1 log=$2 began=$SECONDS status=0 pid beat
  shift 2
  mkdir -p "$(dirname "$log")"
  midtrace_say "$text ..."
  # A process group of its own, so that interrupting the script ends the whole command.
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  set +m
  (
    # The sleep is a child of its own, so that ending this loop leaves nothing behind.
    # It may not have begun, or have ended just now.
    nap=
    trap 'kill "$nap" 2>/dev/null || true; exit 0' TERM
    while :; do
      sleep 20 &
      nap=$!
      wait "$nap"
      midtrace_say "  $text: $(tail -n 1 "$log" 2>/dev/null | tr -d '\r' | cut -c 1-90)"
    done
  ) &
  beat=$!
  trap 'kill -- "-$pid" "$beat" 2>/dev/null; wait "$pid" 2>/dev/null; trap - INT TERM; exit 130' INT TERM
  wait "$pid" || status=$?
  trap - INT TERM
  kill "$beat" 2>/dev/null || true
  wait "$beat" 2>/dev/null || true
  if [ "$status" -ne 0 ]; then
    # Compiler errors come before the noise of what was still running.
    grep -m 20 -E 'error:|FAILED:' "$log" >&2 || true
    echo "--- the end of $log" >&2
    tail -n 40 "$log" >&2
    midtrace_say "$text: failed after $((SECONDS - began)) s with exit code $status (log: $log)" >&2
    return "$status"
  fi
  midtrace_say "$text: done in $((SECONDS - began)) s"
}

# Why each package is needed.
midtrace_why() {
  case $1 in
    g++) echo "the C++20 compiler (GCC 12 or newer)" ;;
    cmake) echo "the build system (3.25 or newer)" ;;
    ninja-build) echo "runs the build" ;;
    pkg-config) echo "finds the client libraries" ;;
    ccache) echo "makes repeated builds fast" ;;
    librdkafka-dev) echo "the Kafka client library (2.0.2 or newer), for midtrace::kafka" ;;
    librabbitmq-dev) echo "the AMQP client library rabbitmq-c (0.11 or newer), for midtrace::amqp" ;;
    libhiredis-dev) echo "the Redis client library hiredis (0.14 or newer), for midtrace::redis" ;;
    libcurl4-openssl-dev) echo "sends spans by OTLP over HTTP (libcurl 7.84 or newer), for midtrace::otlp" ;;
    zlib1g-dev) echo "compresses them" ;;
    libprotozero-dev) echo "writes protobuf; needed only to build midtrace::otlp" ;;
    protobuf-compiler | libprotobuf-dev) echo "reads in tests what midtrace::otlp sent" ;;
    libssl-dev | openssl) echo "servers with TLS in tests" ;;
    libgtest-dev | libgmock-dev) echo "the test framework" ;;
    nlohmann-json3-dev) echo "reads JSON in midtrace::kafka (needed only to build it), midtrace-view and tests" ;;
    libasio-dev) echo "asynchronous I/O, for the tests of midtrace/context/asio.h" ;;
    libspdlog-dev) echo "logging, for the tests of midtrace/context/spdlog.h" ;;
    clang-14) echo "the second compiler; ThreadSanitizer and fuzzing use it" ;;
    libclang-rt-14-dev) echo "clang's sanitizer and fuzzer runtimes" ;;
    strace) echo "shows the tests which system calls are made" ;;
    default-jre-headless) echo "Java 17 or newer, runs the real Kafka broker of the live tests" ;;
    maven) echo "fetches that broker" ;;
    nginx-light) echo "speaks HTTP/2 in live tests of midtrace::otlp" ;;
    binutils) echo "readelf, which shows what the Kafka plugin is linked with" ;;
    python3-confluent-kafka) echo "a Kafka client in Python, for live tests of the Kafka plugin" ;;
    rabbitmq-server) echo "the real RabbitMQ server of the live tests, which start one of their own" ;;
    python3-amqp) echo "an AMQP client in Python, for live tests of midtrace::amqp" ;;
    redis-server) echo "the real Redis server of the live tests, which start their own" ;;
    libevent-dev) echo "the event loop of hiredis' asynchronous client in live tests of midtrace::redis" ;;
    amqp-tools) echo "AMQP clients for the shell, for live tests of midtrace::amqp" ;;
    ca-certificates) echo "lets Maven fetch over HTTPS" ;;
    *) echo "needed by the build" ;;
  esac
}

# Whether `program` is there with at least version major[.minor], read from the first number in its --version.
midtrace_has_version() {
  local program=$1 major=$2 minor=${3:-0} text
  command -v "$program" >/dev/null 2>&1 || return 1
  text=$("$program" --version 2>&1 | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1) || return 1
  local have_major=${text%%.*} rest=${text#*.}
  local have_minor=${rest%%.*}
  [ "$have_major" -gt "$major" ] || { [ "$have_major" -eq "$major" ] && [ "$have_minor" -ge "$minor" ]; }
}

# Whether what the package is needed for is there, from wherever it came.
midtrace_tool_there() {
  case $1 in
    g++) midtrace_has_version g++ 12 ;;
    cmake) midtrace_has_version cmake 3 25 ;;
    ninja-build) command -v ninja >/dev/null ;;
    pkg-config) command -v pkg-config >/dev/null ;;
    ccache) command -v ccache >/dev/null ;;
    librdkafka-dev)
      pkg-config --atleast-version=2.0.2 rdkafka 2>/dev/null && pkg-config --atleast-version=2.0.2 rdkafka++ ;;
    librabbitmq-dev) pkg-config --atleast-version=0.11 librabbitmq 2>/dev/null ;;
    libhiredis-dev) pkg-config --atleast-version=0.14 hiredis 2>/dev/null ;;
    libcurl4-openssl-dev) pkg-config --atleast-version=7.84 libcurl 2>/dev/null ;;
    zlib1g-dev) pkg-config --exists zlib 2>/dev/null ;;
    # Header only, without a pkg-config file.
    libprotozero-dev)
      printf '#include <protozero/pbf_writer.hpp>\n' | g++ -std=c++20 -E -x c++ -o /dev/null - 2>/dev/null ;;
    protobuf-compiler) command -v protoc >/dev/null ;;
    libprotobuf-dev) pkg-config --exists protobuf 2>/dev/null ;;
    libssl-dev) pkg-config --exists libssl 2>/dev/null ;;
    openssl) command -v openssl >/dev/null ;;
    libgtest-dev) pkg-config --exists gtest 2>/dev/null ;;
    libgmock-dev) pkg-config --exists gmock 2>/dev/null ;;
    nlohmann-json3-dev) pkg-config --exists nlohmann_json 2>/dev/null ;;
    libasio-dev) [ -e /usr/include/asio.hpp ] || [ -e /usr/local/include/asio.hpp ] ;;
    libspdlog-dev) pkg-config --exists spdlog 2>/dev/null ;;
    clang-14) command -v clang++-14 >/dev/null ;;
    libclang-rt-14-dev)
      command -v clang-14 >/dev/null && [ -e "$(clang-14 -print-file-name="libclang_rt.tsan-$(uname -m).a")" ] ;;
    strace) command -v strace >/dev/null ;;
    default-jre-headless)
      # `openjdk version "17.0.2"` or `openjdk 17.0.2`; the old scheme says 1.8.
      command -v java >/dev/null && midtrace_java_major ;;
    maven) command -v mvn >/dev/null ;;
    # Not in an ordinary user's PATH.
    nginx-light) command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] ;;
    binutils) command -v readelf >/dev/null ;;
    python3-confluent-kafka) /usr/bin/python3 -c 'import confluent_kafka' 2>/dev/null ;;
    # Neither is in an ordinary user's PATH.
    rabbitmq-server) [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && [ -x /usr/lib/erlang/bin/erl_call ] ;;
    python3-amqp) /usr/bin/python3 -c 'import amqp' 2>/dev/null ;;
    amqp-tools) command -v amqp-publish >/dev/null && command -v amqp-get >/dev/null ;;
    redis-server) midtrace_has_version redis-server 7 ;;
    libevent-dev) pkg-config --exists libevent 2>/dev/null ;;
    ca-certificates) [ -s /etc/ssl/certs/ca-certificates.crt ] ;;
    *) false ;;
  esac
}

midtrace_java_major() {
  local major
  major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  [ -n "$major" ] && [ "$major" -ge 17 ]
}

midtrace_package_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

midtrace_on_debian_12() {
  local id version
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null && [ -r /etc/os-release ] || return 1
  # shellcheck disable=SC1091
  id=$(. /etc/os-release && echo "${ID:-}")
  # shellcheck disable=SC1091
  version=$(. /etc/os-release && echo "${VERSION_ID:-}")
  [ "$id" = debian ] && [ "${version%%.*}" = 12 ]
}

midtrace_need() {
  local package missing=() log support
  support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  for package in "$@"; do
    case $package in
      # A library is asked for by its package where packages can be asked for: pkg-config may not be there yet.
      *-dev) midtrace_on_debian_12 && midtrace_package_installed "$package" && continue ;;
    esac
    midtrace_tool_there "$package" || missing+=("$package")
  done
  if [ "${#missing[@]}" -eq 0 ]; then
    midtrace_say "packages: nothing is missing"
    return 0
  fi

  if ! midtrace_on_debian_12; then
    {
      echo "This system is not Debian 12, so nothing is installed by itself. What is missing, by Debian's names:"
      for package in "${missing[@]}"; do printf '  %-22s %s\n' "$package" "$(midtrace_why "$package")"; done
      echo "Install these with your system's package manager and start this script again."
    } >&2
    return 1
  fi

  midtrace_say "packages: ${#missing[@]} missing"
  for package in "${missing[@]}"; do printf '  %-22s %s\n' "$package" "$(midtrace_why "$package")"; done
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Installing needs root, and there is no sudo. As root: apt-get install --no-install-recommends ${missing[*]}" >&2
      return 1
    fi
    # Without a terminal nobody could type a password.
    if [ -t 0 ]; then sudo -v; else as_root+=(-n); fi
    as_root=(sudo "${as_root[@]}")
  fi
  log=$(mktemp "${TMPDIR:-/tmp}/midtrace-packages.XXXXXX")
  midtrace_step "packages: installing ${missing[*]}" "$log" \
    "${as_root[@]}" bash "$support/packages.sh" --install "${missing[@]}" || {
    echo "Installing failed. By hand, as root: apt-get update; apt-get install --no-install-recommends ${missing[*]}" >&2
    return 1
  }
  rm -f "$log"
  # A package may be older than what is asked for.
  for package in "${missing[@]}"; do
    midtrace_tool_there "$package" || {
      echo "$package is installed now, but what it is needed for is not there: $(midtrace_why "$package")" >&2
      return 1
    }
  done
}
