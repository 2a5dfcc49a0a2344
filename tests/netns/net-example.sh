#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# examples/nic.sh does what it says, as root and with no rights at all, leaves nothing behind, interrupted or not, and fails when
# sluice does.
. "$(dirname "$0")/lib.sh"
for tool in iperf3 ping; do
	command -v "$tool" >/dev/null || skip "no $tool"
done
example=$(realpath "$here/../../examples/nic.sh")
as=()

# run NAME: in a process group of its own, as from a terminal; there SIGINT is not ignored.
run() {
	TMPDIR=$dir SLUICE=$sluice setsid env --default-signal=INT "${as[@]}" bash "$example" >"$dir/$1.log" 2>&1 </dev/null &
	link=$!
	pids+=("$link")
}

# ends NAME [STATUS]: and nothing of it is left
ends() {
	wait_for "$1 to end" gone "$link"
	ended "${2-0}"
	[[ -z $(find "$dir" -name 'sluice-run.*') ]] || fail "$1 has left its folder"
	[[ -z $(ip netns list | grep -E "^sluice-nic-[ab]-$link\b") ]] || fail "$1: a namespace is left"
	wait_for "the processes of $1 to end" no_process
}

no_process() {
	ps -eo pgid=,stat= | awk -v group="$link" '$1 == group && $2 !~ /^Z/ { left = 1 } END { exit left }'
}

must_say() {
	grep -Eq -- "$2" "$dir/$1.log" || fail "$1: does not say /$2/"
}

works() {
	run "$1"
	ends "$1"
	must_say "$1" '^5 packets transmitted, 5 received, 0% packet loss'
	must_say "$1" '^A to B  [0-9.]+ Gbits/sec$'
	must_say "$1" '^B to A  [0-9.]+ Gbits/sec$'
	must_say "$1" '^75 packets transmitted, [1-7][0-9] received'
	(($(grep -c '^B\$ kill -9 ' "$dir/$1.log") == 5)) || fail 'it did not kill five times'
}

works whole

run interrupted
wait_for 'the kills' grep -q 'kill -9' "$dir/interrupted.log"
kill -INT -- "-$link"
ends interrupted 130

good=$sluice
sluice=$(type -P false)
run broken
ends broken 1
must_say broken '^It did not work'

# Nobody's: where it may read everything.
sluice=$dir/sluice
cp "$good" "$sluice"
chmod 777 "$dir"
chmod 755 "$sluice"
as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
[[ $(stat -c %a /dev/net/tun) == *6 ]] || skip '/dev/net/tun is not for everybody: only root was tried'
timeout 20 "${as[@]}" unshare -Urn true 2>"$dir/why" || skip "no user namespaces for nobody: $(cat "$dir/why")"
"${as[@]}" test -r "$example" || skip "nobody may not read $example: only root was tried"
works nobody
