#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Everything that must hold before a change goes in: `make check` and CI run this. It builds the variants
# listed at the end under build/, runs their tests, and ends with one line: N passed, N failed, N skipped.
set -eu
cd "$(dirname "$0")/.."
jobs=$(nproc)
variants=
without=() # a command in front of the tests: see sanitized()

# A second run is quick: configure anew only when the options or the set of files have changed.
configure() { # DIR COMPILER MESON-OPTION...
    local dir=$1 compiler=$2 options="$*" files
    shift 2
    files=$(find meson.build meson_options.txt include src tests man completion bench -type f 2>/dev/null | sort | cksum)
    if [ "$(cat "$dir/check.options" 2>/dev/null)" != "$options" ]; then
        rm -rf "$dir"
        CC=$compiler meson setup "$dir" "$@"
    elif [ "$(cat "$dir/check.files" 2>/dev/null)" != "$files" ]; then
        meson setup --reconfigure "$dir"
    fi || return
    echo "$options" >"$dir/check.options"
    echo "$files" >"$dir/check.files"
}

# Build a variant. One that does not build is on record as failed, and the others still run.
build() { # NAME COMPILER MESON-OPTION...
    local name=$1 start=$SECONDS
    local dir=build/$name
    shift
    variants="$variants $name"
    echo "==> $name: building"
    mkdir -p build
    rm -rf "$dir.failed" "$dir/meson-logs/testlog.json" "$dir/sanitizer"
    if configure "$dir" "$@" >"$dir.log" 2>&1 && ninja -C "$dir" -j "$jobs" --quiet >"$dir.log" 2>&1; then
        echo "==> $name: built in $((SECONDS - start)) s"
        return
    fi
    mv "$dir.log" "$dir.failed"
    echo "==> $name: DOES NOT BUILD, see $dir.failed"
    return 1
}

# Run tests of a variant; scripts/summary.py reads what came of it.
run() { # NAME MESON-TEST-ARGUMENT...
    local name=$1 start=$SECONDS
    shift
    echo "==> $name: testing"
    # Twice as many as there are processors: most of them wait most of the time.
    "${without[@]}" meson test -C "build/$name" --no-rebuild --num-processes $((2 * jobs)) "$@" || echo "==> $name: some tests did not pass"
    echo "==> $name: tested in $((SECONDS - start)) s"
}

# Errors that a sanitizer finds are fatal, and leave a report on disk too: a process whose exit status
# no test looks at cannot hide them.
sanitized() { # NAME MESON-TEST-ARGUMENT...
    local report=$PWD/build/$1/sanitizer/report
    local fatal="halt_on_error=1:abort_on_error=1:log_path=$report"
    local name=$1 without=()
    shift
    mkdir -p "$(dirname "$report")"
    # Some kernels randomise more address bits than the sanitizers of Debian 12 can take.
    setarch -R true 2>/dev/null && without=(setarch -R)
    ASAN_OPTIONS=$fatal:detect_leaks=1:detect_stack_use_after_return=1 \
        UBSAN_OPTIONS=$fatal:print_stacktrace=1 TSAN_OPTIONS=$fatal:second_deadlock_stack=1 \
        run "$name" --timeout-multiplier 4 "$@"
}

# Tests whose threads share memory: three by name, and whatever is in the suite tsan.
threaded() { # DIR
    meson introspect --tests "$1" | python3 -c '
import json, sys
for t in json.load(sys.stdin):
    suites = {s.split(":")[-1] for s in t["suite"]}
    if "tsan" in suites or ("unit" in suites and t["name"] in ("ring_stress", "worker", "link")):
        print(t["name"])'
}

# All suites but what make vm adds; the guests of tests/vm, and what is in netns-plain, only here.
if build check-gcc gcc -Dwerror=true; then
    run check-gcc
fi
# The other compiler, with assertions; its fuzz targets, with instruments of their own, go on from their corpora.
if build check-clang clang -Dwerror=true -Dbuildtype=debugoptimized -Dfuzz=true; then
    sanitized check-clang --suite unit --suite fuzz
fi
if build check-asan gcc -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
    -Dc_args=-fno-sanitize-recover=undefined; then
    sanitized check-asan --suite unit --suite fuzz --suite netns
fi
# No sanitizer of threads sees into libipsec-mb; so this is the variant without it, as it must be able to do.
if build check-tsan clang -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false -Dipsec_mb=disabled; then
    # shellcheck disable=SC2046 # names without blanks
    sanitized check-tsan --suite unit --suite tsan $(threaded build/check-tsan)
fi

echo "==> all variants in $SECONDS s"
# shellcheck disable=SC2086 # a list of words
exec python3 -B scripts/summary.py build $variants
