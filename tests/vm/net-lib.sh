# SPDX-License-Identifier: BSD-2-Clause
# What tests share whose NICs are served by net_serve.py, beside QEMU; source it after ../netns/lib.sh. The NICs are in
# namespaces of this guest, split in $a and packed in $b.
# shellcheck shell=bash disable=SC2154 # namespaces sets a and b

# The other guest, which net_serve.py boots with the same initrd, sends back what it gets, for ever.
if grep -q slt.peer /proc/cmdline; then
	sysctl -qw net.ipv6.conf.eth0.accept_dad=0
	ip addr add 10.9.2.1/24 dev eth0
	ip addr add fd09:2::1/64 dev eth0
	"$python" -B "$here/echo.py" serve - >"$dir/echo.log" 2>&1 &
	wait_for 'the echo' grep -q ready "$dir/echo.log"
	ip link set eth0 up
	wait
fi

exec 9</dev/ttyS2
stty -F /dev/ttyS2 raw -echo

# ask WHAT...: see net_serve.py; waits for the answer
ask() {
	local answer
	echo "%% host ${*@Q}"
	read -r -t 100 answer <&9 || fail "no answer: $*"
	[[ $answer == ok* ]] || fail "$*: $answer"
	[[ ${answer%% } == ok ]] || echo "$*:${answer#ok}"
}

interface_of() { # MAC
	local nic
	for nic in /sys/class/net/*; do
		[[ $(cat "$nic/address") != "$1" ]] || basename "$nic"
	done
}

# settle NS MAC ADDRESS...: the NIC becomes eth0 there
settle() {
	local ns=$1 nic address
	nic=$(interface_of "$2")
	ip link set "$nic" netns "$ns"
	ip -n "$ns" link set "$nic" name eth0
	for address in "${@:3}"; do
		ip -n "$ns" addr add "$address" dev eth0
	done
	ip -n "$ns" link set eth0 up
}

# Home again, where they were when the test began.
back_home() {
	ip -n "$a" link set eth0 name eth5 netns 1
	ip -n "$b" link set eth0 name eth6 netns 1
	ip link set eth5 name eth0
	ip link set eth6 name eth1
}

# echoed tcp|udp NS ADDRESS [OPTION...]: what echo.py checks
echoed() {
	timeout 60 "$python" -B "$here/echo.py" "$@"
}

answers() { # NS ADDRESS
	in_ns "$1" ping -q -c 1 -W 1 "$2" >"$dir/ping.out" 2>&1
}
