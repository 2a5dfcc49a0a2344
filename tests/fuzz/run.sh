#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# run.sh TARGET CORPUS ARTIFACTS: a short libFuzzer run on a throwaway copy of a corpus.
set -eu
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$2/." "$copy"
# A finding must not exit with 77, libFuzzer's own choice: that means "skipped" here.
"$1" -error_exitcode=1 -timeout_exitcode=1 -runs=20000 -max_total_time=10 -seed=1 -print_final_stats=1 -artifact_prefix="$3/" "$copy"
