# SPDX-License-Identifier: BSD-2-Clause
# What the tests of uduse share: `sluice io uduse:` listens at $sock, `sluice serve` connects. No rights are needed.
# shellcheck shell=bash disable=SC2034 # for lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/serve-lib.sh"
mkdir "$dir/at" # for the log beside it: lib.sh prints what is in $dir
sock=$dir/at/disk.sock

# serve_uduse MODEL [OPTION...]
serve_uduse() {
	serve_via "$1" "uduse:path=$sock" "${@:2}"
}

# drive ARGUMENT...: sluice io uduse:$sock in the background, pid in $io; returns when it drives
drive() {
	wait_for 'nobody to drive it' is_in waiting
	"$sluice" io "uduse:$sock" --json "$@" >"$dir/io.json" 2>"$dir/io.log" &
	io=$!
	pids+=("$io")
	wait_for 'the driver' is_in running
}

# is_in STATE: by its last report
is_in() {
	tail -n 1 "$report" | grep -q "\"state\":\"$1\""
}

# drives ARGUMENT...: and to its end
drives() {
	timeout 100 "$sluice" io "uduse:$sock" --json "$@" >"$dir/io.json" 2>"$dir/io.log" ||
		fail "sluice io $* ended with $?: $(tail -n 3 "$dir/io.log")"
	io_said "o['final'] and o['errors'] == 0 and o['mismatches'] == 0"
}

# is_over: $io has ended, well
is_over() {
	wait "$io" || fail "sluice io ended with $?: $(tail -n 3 "$dir/io.log")"
}
