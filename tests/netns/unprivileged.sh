#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Without root: a sentence that names the way out, and the way out works.
. "$(dirname "$0")/lib.sh"
namespaces a
cp "$sluice" "$dir/sluice" # where nobody may run it, whatever the way to the original is
chmod 755 "$dir" "$dir/sluice"
sluice=$dir/sluice

nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
cd /

[[ $(stat -c %a /dev/net/tun) == *6 ]] || skip '/dev/net/tun is not for everybody'
for kind in tap tun; do
	refused 2 'no permission to use interface t0: run as root, with CAP_NET_ADMIN, or inside unshare -Urn' \
		"${nobody[@]}" "$sluice" link $kind:name=t0 null:
done
refused 2 'run as root|CAP_SYS_ADMIN|CAP_NET_ADMIN' "${nobody[@]}" "$sluice" link "tap:name=t0,netns=$a" null:
ip -n "$a" tuntap add t1 mode tap user 0 # somebody else's
ip -n "$a" tuntap add t2 mode tap        # anybody's, but not set up
refused 2 'no permission to use interface t1' \
	ip netns exec "$a" "${nobody[@]}" "$sluice" link tap:name=t1 null:
refused 2 'cannot set up interface t2: .*run as root' \
	ip netns exec "$a" "${nobody[@]}" "$sluice" link tap:name=t2 null:
timeout 20 "${nobody[@]}" "$sluice" link gen:count=10 null: >/dev/null # no rights, none needed

timeout 20 "${nobody[@]}" unshare -Urn true 2>"$dir/why" || skip "no user namespaces for nobody: $(cat "$dir/why")"
timeout 20 "${nobody[@]}" unshare -Urn "$sluice" link --json gen:count=3000,rate=20k \
	tun:name=t0,addr=10.0.0.1/24,addr=fd00::1/64 >"$dir/own.json"
report=$dir/own.json
holds 'final and there.packets == 3000 and there.drops() == 0'

# Two sites, joined by somebody with no rights at all.
timeout 20 "${nobody[@]}" unshare -Urn bash -eu -c '
	unshare -n sleep 20 & other=$!
	until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
	"$1" link --stats 0 --duration 10 tap:name=t0,addr=10.0.0.1/24 \
		tap:name=t0,netns=/proc/$other/ns/net,addr=10.0.0.2/24 >/dev/null & link=$!
	until ping -q -c 1 -W 1 10.0.0.2 >/dev/null 2>&1; do sleep 0.05; done
	ping -q -c 5 -i 0.01 10.0.0.2 >/dev/null
	kill $link $other
	wait $link
' - "$sluice"
