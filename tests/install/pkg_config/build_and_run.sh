#!/bin/sh
# Builds one consumer program with the flags that pkg-config names for it, as a static library's user does, and runs it.
# Usage: build_and_run.sh PREFIX MODULE COMPILER SOURCE OUTPUT_DIRECTORY VERSION
set -eu
prefix=$1 module=$2 compiler=$3 source=$4 output=$5/pkg_config_$2 version=$6

file=$(find "$prefix" -name "$module.pc")
[ -n "$file" ] || { echo "no $module.pc below $prefix" >&2; exit 1; }
PKG_CONFIG_PATH=$(dirname "$file")${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH

found=$(pkg-config --modversion "$module")
[ "$found" = "$version" ] || { echo "$module.pc says version $found, expected $version" >&2; exit 1; }
# The flags are words.
# shellcheck disable=SC2046
"$compiler" -std=c++20 $(pkg-config --cflags "$module") "$source" -o "$output" $(pkg-config --libs "$module")
"$output"
