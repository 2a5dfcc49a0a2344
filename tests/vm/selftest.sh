#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The harness can fail: tests that are bad, each in its way, must be reported as failed, and for that reason alone.
# usage: selftest.sh [6.12-kasan]
# With a kernel that looks for faults in itself: it finds them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d /tmp/slt-XXXXXX)
trap 'rm -rf "$dir"' EXIT
points=0 bad=0

# wrong WHAT FILE: what the harness said was not what it should have said
wrong() {
	echo "not ok $((++points)) - $1"
	sed 's/^/# /' "$2"
	bad=1
}

# expect NAME WHAT STATUS FAILED-POINTS REGEX...: of the run with that name
expect() {
	local name=$1 what=$2 status=$3 failed=$4 regex
	shift 4
	[[ $(cat "$dir/$name.status") == "$status" && $(grep -c '^not ok' "$dir/$name") == "$failed" ]] ||
		{ wrong "$what" "$dir/$name" && return; }
	for regex; do
		grep -Eq -- "$regex" "$dir/$name" || { wrong "$what" "$dir/$name" && return; }
	done
	echo "ok $((++points)) - $what"
}

# run NAME [ASSIGNMENT...] TEST KERNEL
run() {
	local name=$1 status=0
	shift
	env "${@:1:$#-2}" "$here/run.sh" "${@: -1}" "$here/${*: -2:1}" >"$dir/$name" 2>&1 || status=$?
	echo $status >"$dir/$name.status"
}

if [[ ${1-} == 6.12-kasan ]]; then
	run faulty bad/faulty.sh 6.12-kasan
	if grep '^1\.\.0 # SKIP' "$dir/faulty"; then
		exit
	fi
	echo 'TAP version 13'
	expect faulty 'a module with one fault for each that looks for them' 1 1 'kernel: .*WARNING: suspicious RCU usage' \
		'kernel: .*WARNING: possible circular locking' 'kernel: .*BUG: sleeping function' 'kernel: .*UBSAN: shift-out-of-bounds' \
		'kernel: .*DMA-API: ' 'kernel: .*BUG: KASAN: slab-use-after-free' 'kernel: unreferenced object' 'not ok 3 - no complaint'
	((bad)) || rm -rf "$here/../../build/vm/failed/faulty-6.12-kasan"
	echo "1..$points"
	exit $bad
fi
run asks bad/asks.sh 6.1
if grep '^1\.\.0 # SKIP' "$dir/asks"; then
	exit
fi
echo 'TAP version 13'
mkdir "$dir/bin"
printf '#!/bin/sh\nexec sleep 1000\n' >"$dir/bin/qemu-system-x86_64"
chmod +x "$dir/bin/qemu-system-x86_64"
run other bad/asks.sh 6.12
run alone bad/alone.sh 6.1
run unbuilt bad/unbuilt.sh 6.1
mkdir "$dir/aborts"
printf '#!/bin/sh\necho "e1000e_intrmgr_on_msix_throttling_timer: Assertion"\nexit 134\n' >"$dir/aborts/qemu-system-x86_64"
chmod +x "$dir/aborts/qemu-system-x86_64"
run aborted "PATH=$dir/aborts:$PATH" bad/fails.sh 6.1
run stuck "PATH=$dir/bin:$PATH" VM_BOOT_SECONDS=0 bad/hangs.sh 6.1
# Two at a time: that many processors a machine has that has little else to do.
for pair in 'fails hangs' 'leaves warns' 'panics skips'; do
	for name in $pair; do
		run "$name" "bad/$name.sh" 6.1 &
	done
	wait
done

expect aborted 'a QEMU that aborts in a way that is known, and again' 1 1 'once more' 'comes to its end: QEMU ended with 134'
expect fails 'a test that fails' 1 1 'ok 2 - true is true' 'not ok 3 - fails-6.1: ended with 1' 'FAIL: .*Windows'
expect hangs 'a test that hangs' 1 1 'not ok 2 - hangs-6.1: not done after 3 s'
expect leaves 'a test that leaves things behind' 1 1 'ok 2 - leaves-6.1' 'left behind: process .*sleep 1000' \
	'left behind: interface forgotten0' 'left behind: file /tmp/forgotten' 'not ok 4 - nothing left behind'
expect warns 'a test that makes the kernel complain' 1 1 'ok 2 - warns-6.1' 'kernel: .*WARNING: CPU: 0' \
	'not ok 3 - no complaint'
expect panics 'a test that kills the kernel' 1 1 'ok 2 - so far' 'not ok 3 - .*the kernel panicked' \
	'sysrq triggered crash' 'the console is kept in'
expect skips 'a test that lacks something in its own guest' 1 1 'not ok 2 - .*: no spoon'
expect stuck 'a guest that does not boot' 1 1 'not ok 1 - .*nothing after 3 s'
expect asks 'a module that there is not' 1 0 'FAIL: this kernel has no module no_such_module'
expect unbuilt 'a module of ours that does not build' 1 0 'nowhere.h: No such file' 'FAIL: bad/broken does not build for Linux 6.1'
expect alone 'a script beside QEMU that there is not' 1 0 'FAIL: .*no_such.py is not ready: '
expect other 'a test that is not for this kernel' 0 0 '^1..0 # SKIP not for this kernel, only for: 6.1'
# What was kept of these is of no use.
for name in fails hangs leaves warns panics skips; do
	((bad)) || rm -rf "$here/../../build/vm/failed/$name-6.1"
done
echo "1..$points"
exit $bad
