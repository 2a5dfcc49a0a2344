#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# examples/two-sites.sh does what it says, and leaves nothing behind, interrupted or not. It fails when
# plaintext is on the wire, and when sluice does.
. "$(dirname "$0")/lib.sh"
for tool in iperf3 ping tcpdump openvpn; do
	PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null || skip "no $tool"
done
example=$(realpath "$here/../../examples/two-sites.sh")

# What it makes under /tmp is known by name: others may run the example as well.
mkdir "$dir/bin"
cat >"$dir/bin/mktemp" <<-END_OF_SHIM
	#!/bin/sh
	$(command -v mktemp) "\$@" | tee -a "$dir/made"
END_OF_SHIM
chmod +x "$dir/bin/mktemp"
# How fast it all is need not be known more than once.
mkdir "$dir/quick"
cat >"$dir/quick/iperf3" <<-'END_OF_SHIM'
	#!/bin/sh
	echo '0.0 Gbits/sec receiver'
END_OF_SHIM
chmod +x "$dir/quick/iperf3"

# run NAME: in a process group of its own, as from a terminal; there SIGINT is not ignored.
run() {
	: >"$dir/made"
	PATH=$dir/bin:$more$PATH SECONDS_EACH=1 SLUICE=$sluice setsid env --default-signal=INT \
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

must_say() {
	says "$@" || fail "$1: does not say /$2/"
}

# ends NAME [STATUS]: within a minute
ends() {
	local end=$((SECONDS + 60))
	while ((SECONDS < end)) && ! gone "$link"; do sleep 0.2; done
	ended "${2-0}"
	nothing_left "$1"
}

more=
run whole
ends whole
more=$dir/quick:
must_say whole '^A: .*it says that it goes away$'
must_say whole '^[0-9]+ packets on the wire, all UDP port 1194:$'
must_say whole '^ +[0-9]+ P_DATA_V2$'
must_say whole "^Packets hold the sentence [1-9][0-9]* times in B's sl0, 0 times on the wire\$"
ms=' +[0-9.]+ ms' rate=' +[0-9.]+ Gbit/s'
for row in "ping IPv4$ms$ms$ms" "ping IPv6 +-$ms$ms" "TCP A to B$rate$rate$rate" "TCP B to A$rate$rate$rate" \
	'the wire +[0-9]+ packets, 0 with the plaintext'; do
	sed '1,/^== In short/d' "$dir/whole.log" | grep -Eqx -- "$row" || fail "no row /$row/"
done

for moment in '== The yardstick' '== The tunnel' '== Stock OpenVPN'; do
	run interrupted
	while alive && ! says interrupted "^$moment"; do sleep 0.1; done
	kill -INT -- "-$link"
	ends interrupted 130
done

# Sent beside the tunnel:
whole=$example example=$dir/plain.sh
sed "s/10\.77\.0\.2\(', 7777\|\/7777\)/192.0.2.2\1/" "$whole" >"$example"
run plain
ends plain 1
must_say plain "^Not the tunnel's, and on the wire: [0-9a-f]+\$"
must_say plain '^It did not work'
! says plain '^== (Stock|In short)' || fail 'it went on'

example=$whole
sluice=$(type -P false)
run broken
ends broken 1
must_say broken '^It did not work'
