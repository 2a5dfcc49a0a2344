#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# examples/disk.sh does what it says, leaves nothing behind, interrupted or not, and fails when sluice does.
# shellcheck disable=SC2034 # for lib.sh
unprivileged=1
. "$(dirname "$0")/lib.sh"
example=$(realpath "$here/../../examples/disk.sh")

# run NAME: in a process group of its own, as from a terminal; there SIGINT is not ignored.
run() {
	TMPDIR=$dir SLUICE=$sluice setsid env --default-signal=INT bash "$example" >"$dir/$1.log" 2>&1 </dev/null &
	link=$!
	pids+=("$link")
}

# ends NAME [STATUS]: and nothing of it is left
ends() {
	wait_for "$1 to end" gone "$link"
	ended "${2-0}"
	[[ -z $(find "$dir" -name 'sluice-run.*') ]] || fail "$1 has left its folder"
	wait_for "the processes of $1 to end" no_process
}

no_process() {
	ps -eo pgid=,stat= | awk -v group="$link" '$1 == group && $2 !~ /^Z/ { left = 1 } END { exit left }'
}

must_say() {
	grep -Eq -- "$2" "$dir/$1.log" || fail "$1: does not say /$2/"
}

run whole
ends whole
must_say whole '^ +[1-9][0-9]* blocks verified, 0 wrong, 0 unknown$'
must_say whole '^ +reconnected ([5-9]|10) times'
(($(grep -c '^\$ kill -9 ' "$dir/whole.log") == 10)) || fail 'it did not kill ten times'

run interrupted
wait_for 'the kills' grep -q 'kill -9' "$dir/interrupted.log"
kill -INT -- "-$link"
ends interrupted 130

sluice=$(type -P false)
run broken
ends broken 1
must_say broken '^It did not work'
