#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# examples/two-sites.sh does what it says, and leaves nothing behind, interrupted or not.
. "$(dirname "$0")/lib.sh"
command -v iperf3 >/dev/null || skip "no iperf3"
command -v ping >/dev/null || skip "no ping"
example=$(realpath "$here/../../examples/two-sites.sh")

# What it makes under /tmp is known by name: others may run the example as well.
mkdir "$dir/bin"
cat >"$dir/bin/mktemp" <<-END_OF_SHIM
	#!/bin/sh
	$(command -v mktemp) "\$@" | tee -a "$dir/made"
END_OF_SHIM
chmod +x "$dir/bin/mktemp"

# run NAME: in a process group of its own, as from a terminal; there SIGINT is not ignored.
run() {
	: >"$dir/made"
	PATH=$dir/bin:$PATH SECONDS_EACH=1 SLUICE=$sluice setsid env --default-signal=INT \
		bash "$example" >"$dir/$1.log" 2>&1 </dev/null &
	link=$!
	pids+=("$link")
	made+=("sluice-a-$link" "sluice-b-$link")
}

nothing_left() {
	local work
	[[ -z $(ip netns list | grep -E "^sluice-[ab]-$link\b") ]] || fail "$1: a namespace is left"
	[[ -s $dir/made ]] || fail "$1: made no folder"
	while read -r work; do
		[[ $work == /tmp/sluice-run.* && ! -e $work ]] || fail "$1: $work is left"
	done <"$dir/made"
	wait_for "the processes of $1 to end" no_process
}

# Of its process group; what has ended and nobody has waited for is none.
no_process() {
	ps -eo pgid=,stat= | awk -v group="$link" '$1 == group && $2 !~ /^Z/ { left = 1 } END { exit left }'
}

says() {
	grep -Eq -- "$2" "$dir/$1.log"
}

run whole
ended
nothing_left whole
[[ $(sed '1,/^== In short/d' "$dir/whole.log" |
	grep -Ec '^(ping, IPv[46] +[0-9.]+ ms +[0-9.]+ % lost|TCP, [AB] to [AB] +[0-9.]+ Gbit/s +[0-9]+ retransmitted)$') == 4 ]] ||
	fail "not the four rows: $(sed '1,/^== In short/d' "$dir/whole.log")"

run interrupted
wait_for 'iperf3' says interrupted '^== iperf3, a-to-b'
kill -INT -- "-$link"
ended 130
nothing_left interrupted
