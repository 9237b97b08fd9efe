#!/bin/sh
# Fetches the jars of the Apache Kafka broker that the live tests start, once, into
#   ${MIDTRACE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/midtrace}/kafka-<version>/
# with Maven and the repositories it is configured for. A second call finds the stamp file and does nothing,
# without any network. The versions are pinned in pom.xml beside this script.
#
# Usage: fetch.sh                      fetch if needed; 0 when the jars are there
#        fetch.sh --print-directory    only print where they belong
#        fetch.sh --check              0 when they are there, 1 when not; fetches nothing
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
pom=$here/pom.xml
version=$(sed -n 's:.*<kafka\.version>\(.*\)</kafka\.version>.*:\1:p' "$pom")
[ -n "$version" ] || { echo "kafka broker: no kafka.version in $pom" >&2; exit 1; }

if [ -n "${MIDTRACE_CACHE:-}" ]; then
  cache=$MIDTRACE_CACHE
elif [ -n "${XDG_CACHE_HOME:-}" ]; then
  cache=$XDG_CACHE_HOME/midtrace
elif [ -n "${HOME:-}" ]; then
  cache=$HOME/.cache/midtrace
else
  echo "kafka broker: set MIDTRACE_CACHE, XDG_CACHE_HOME or HOME to say where the jars belong" >&2
  exit 1
fi
directory=$cache/kafka-$version

# The stamp holds the checksum of the pom that was fetched and the names of the jars, so that a changed pin
# fetches again and a half-deleted cache is noticed.
stamp=$directory/complete
pom_sum=$(sha256sum "$pom" | cut -d ' ' -f 1)
complete() {
  [ -f "$stamp" ] && [ "$(sed -n 1p "$stamp")" = "$pom_sum" ] &&
    sed 1d "$stamp" | while IFS= read -r jar; do [ -s "$directory/$jar" ] || exit 1; done
}

case ${1:-} in
  '') ;;
  --print-directory) echo "$directory"; exit 0 ;;
  --check) if complete; then exit 0; else exit 1; fi ;;
  *) echo "usage: fetch.sh [--print-directory | --check]" >&2; exit 2 ;;
esac

if complete; then
  echo "kafka broker: $version is in $directory"
  exit 0
fi

missing=
command -v java >/dev/null 2>&1 || [ -x "${JAVA_HOME:-/nonexistent}/bin/java" ] ||
  missing="java (Debian package default-jre-headless or openjdk-17-jre-headless)"
command -v mvn >/dev/null 2>&1 || missing="${missing:+$missing and }mvn (Debian package maven)"
if [ -n "$missing" ]; then
  echo "kafka broker: cannot fetch, not installed: $missing" >&2
  exit 1
fi

mkdir -p "$cache"
# Two builds that start together must not fetch into the same place; the second finds the work done.
exec 9>"$cache/kafka-$version.lock"
flock 9
if complete; then
  echo "kafka broker: $version is in $directory"
  exit 0
fi

partial=$cache/kafka-$version.partial
rm -rf "$partial"
mkdir -p "$partial"
trap 'rm -rf "$partial"' EXIT
trap 'exit 130' INT TERM HUP

echo "kafka broker: fetching $version with mvn (about 50 MB, once)"
# The pom is copied because Maven writes beside it in some set-ups, and the source tree may be read-only.
cp "$pom" "$partial/pom.xml"
attempt=1
until mvn --batch-mode --quiet --strict-checksums --file "$partial/pom.xml" \
  dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$partial/jars" 9>&-; do
  if [ "$attempt" -ge 3 ]; then
    echo "kafka broker: mvn failed $attempt times, see its message above" >&2
    exit 1
  fi
  attempt=$((attempt + 1))
  echo "kafka broker: mvn failed, attempt $attempt of 3"
  sleep 3
done

(cd "$partial/jars" && { echo "$pom_sum"; ls -1 -- *.jar; } >../complete && mv ../complete complete)
rm -rf "$directory"
mv "$partial/jars" "$directory"
echo "kafka broker: $(ls -1 "$directory" | grep -c '\.jar$') jars," \
  "$(du -sh "$directory" | cut -f 1) in $directory"
