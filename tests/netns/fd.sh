#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# fd=N: sluice gets a descriptor that its parent has opened.
. "$(dirname "$0")/lib.sh"
namespaces a b c
silence "$a" "$b" "$c"

in_a=(ip netns exec "$a" "$python" -B "$here/fd.py") # FLAGS NS IF COMMAND...

begin_with_fd() { # FLAGS PORT PORT: with descriptor 9, which is t0 in namespace a
	begin "${in_a[@]}" "$1" "$a" t0 "$sluice" link --json --stats 0.1 "${@:2}"
	wait_for 'the first report' reported_or_ended
	alive || fail "fd.py $*"
}

# To another interface; every kind of descriptor.
for flags in tap,vnet tap tun,vnet tun,blocking; do
	kind=${flags%%,*}
	begin_with_fd "$flags,root" "$kind:fd=9,addr=10.9.0.1/24" "$kind:name=t0,netns=$b,addr=10.9.0.2/24"
	traffic tcp "$a" "$b" 10.9.0.2
	traffic udp "$b" "$a" 10.9.0.1
	[[ $flags != *vnet ]] || traffic udp "$a" "$b" 10.9.0.2 --gso 1000
	no_checksum_errors "$a" "$b"
	stop
	holds 'not there.lost() and not back.lost()'
done

# Without any rights: the parent sets the interface up. When it is deleted it stays gone.
"${in_a[@]}" tap "$a" t0 "$sluice" --version >/dev/null 2>&1 ||
	skip "nobody cannot run $sluice"
for kind in tap tun; do
	ip -n "$a" tuntap add t0 mode "$kind"
	ip -n "$a" link set dev t0 up
	ip -n "$a" addr add 10.9.0.1/24 dev t0
	begin_with_fd "$kind,vnet" "$kind:fd=9" gen:size=100,rate=1k,count=100000
	[[ $(awk '/^Uid/ { print $2 }' "/proc/$link/status") == 65534 ]]
	wait_for 'packets to it' reports 'back.packets > 50'
	in_ns "$a" ping -q -c 3 -i 0.01 -W 0.1 10.9.0.2 >/dev/null || true
	wait_for 'packets from it' reports 'there.packets >= 1'
	ip -n "$a" link del t0
	wait_for 'it to be gone' reports 'back.gone and back.drops("peer-gone") > 50'
	stop
done

# Descriptors that are none.
link_fd() { # FLAGS REGEX SPEC
	refused 2 "$2" "${in_a[@]}" "$1" "$a" t0 "$sluice" link "$3" null: --duration 0.1
}
link_fd tap,root 'is not a TUN interface' tun:fd=9
link_fd tun,root 'is not a TAP interface' tap:fd=9
link_fd tap,root 'descriptor 8 is not open' tap:fd=8
link_fd tap,root 'descriptor 0 is not an attached' tap:fd=0
link_fd tap,root 'do not go with fd=' tap:fd=9,queues=2
link_fd tap,root 'do not go with fd=' "tap:fd=9,netns=$b"
link_fd tap,root 'one of name=IF and fd=N' tap:fd=9,name=t0
link_fd tap,root 'fd=x is not a whole number' tap:fd=x
link_fd tap 'cannot set up interface t0: .*run as root' tap:fd=9,mtu=1400
refused 2 'both ports' "${in_a[@]}" tap,root "$a" t0 "$sluice" link tap:fd=9 tap:fd=9

# An interface of another namespace: one of the same name here must not be touched.
ip -n "$c" tuntap add t0 mode tap
refused 2 'namespace' ip netns exec "$c" "$python" -B "$here/fd.py" tap,root "$a" t0 \
	"$sluice" link tap:fd=9,mtu=1400,addr=10.7.0.1/24 null: --duration 0.1
is_up "$c" t0 && fail "another interface of that name was set up"
ip -n "$c" link show dev t0 | grep -q 'mtu 1500'
