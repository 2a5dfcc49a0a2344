#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# In a guest of bench/vm_net.py.
# usage in the guest: vm_net_guest.sh a|b ROUNDS SECONDS-EACH
. "$(dirname "$0")/../tests/vm/guest.sh"
role=$1 rounds=$2 seconds=$3
declare -A number=([a]=1 [b]=2) net=([00]=sluice [01]=bridge) peer=([sluice]=10.81.0.2 [bridge]=10.81.1.2)

# The fifth byte of the address says which path, the last which guest.
for nic in /sys/class/net/e*; do
	path=$(cut -d : -f 5 "$nic/address")
	ip addr add "10.81.$((10#$path)).${number[$role]}/24" dev "${nic##*/}"
	ip link set "${nic##*/}" up
	echo "PATH ${net[$path]} $(basename "$(readlink "$nic/device/driver")")"
done
if [[ $role == b ]]; then
	exec iperf3 --server # until QEMU is ended
fi

# traffic PATH TEST OPTION...: what iperf3 says, on one line; its server may still be busy with the last one
traffic() {
	local try
	for ((try = 0; try < 10; try++)); do
		! said=$(iperf3 --client "${peer[$1]}" --json --interval 0 --time "$seconds" "${@:3}") || break
		sleep 0.5
	done
	echo "RESULT $1 $2 $(tr -d '\n\t ' <<<"$said")"
}
measure() { # PATH
	traffic "$1" tcp
	traffic "$1" udp --udp --length 64 --bitrate 0
	echo "RESULT $1 ping $(ping -q -i 0.02 -c 50 "${peer[$1]}" | sed -n 's|^rtt .*= [^/]*/\([^/]*\)/.*|\1|p')"
}

for path in sluice bridge; do
	for ((try = 0; try < 60; try++)); do
		! ping -q -c 1 -W 1 "${peer[$path]}" >/dev/null || break
	done
	((try < 60))
	ok "$path: the other guest answers"
done
for ((round = 1; round <= rounds; round++)); do
	for path in sluice bridge; do
		measure "$path"
	done
	ok "round $round"
done
