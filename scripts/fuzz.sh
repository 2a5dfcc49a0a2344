#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Fuzz each target of tests/fuzz/ for FUZZ_TIME seconds, from a scratch copy of its corpus: nothing is written to the tree.
# usage: FUZZ_TIME=60 scripts/fuzz.sh [TARGET...]
set -eu
cd "$(dirname "$0")/.."
time=${FUZZ_TIME:-60}
dir=build/fuzz
failed=0

echo "building the fuzz targets into $dir"
again=
[ ! -f $dir/build.ninja ] || again=--reconfigure # there may be new targets
CC=clang meson setup $dir $again -Dfuzz=true -Dbuildtype=debugoptimized >/dev/null
ninja -C $dir --quiet
found=$(meson introspect --targets $dir | python3 -c '
import json, sys
for t in json.load(sys.stdin):
    if t["type"] == "executable" and t["defined_in"].endswith("/tests/fuzz/meson.build"):
        print(t["name"])' | sort)

# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || set -- $found

for target; do
    corpus=$dir/corpus/$target
    mkdir -p "$corpus" $dir/crashes
    cp -r "tests/fuzz/corpus/${target#fuzz_}/." "$corpus/" 2>/dev/null || echo "$target: starts without a corpus"
    echo "fuzzing $target for $time s"
    if "$dir/tests/fuzz/$target" -max_total_time="$time" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix=$dir/crashes/"$target"- "$corpus" >"$dir/$target.log" 2>&1; then
        sed -n 's/^stat::number_of_executed_units: */  inputs tried: /p' "$dir/$target.log"
    else
        failed=1
        tail -n 40 "$dir/$target.log"
        echo "$target FAILED. To see it again:"
        sed -n "s|.*Test unit written to \(.*\)|  $dir/tests/fuzz/$target \1|p" "$dir/$target.log"
        echo "Fix it, then keep that input as tests/fuzz/corpus/${target#fuzz_}/NAME: it is replayed by make check."
    fi
done
exit $failed
