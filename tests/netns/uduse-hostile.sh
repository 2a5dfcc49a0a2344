#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# uduse with drivers and with daemons that send nonsense, lie, are late, or never answer: they lose their connection, and
# the next is served. Each message by itself: unit tests uduse_*, fuzz_uduse_*.
. "$(dirname "$0")/uduse-lib.sh"

# Drivers, of disks and of NICs.
device="uduse:path=$sock" driver="virtio-user:path=$sock,via=uduse" others=()
for n in 1 2 3; do
	start "$device-nic$n" null:
	others+=("$link")
done
for n in 1 2; do
	via=$via-$n serve blk,mem=16M
	others+=("$link")
done
serve blk,mem=16M
"$python" -B "$here/uduse_hostile.py" drivers "$sock-nic"{1,2,3} "$sock"{-1,-2,} || fail 'a lying driver was not let go'
kill -0 "$link" "${others[@]}" || fail 'a device has ended'
drive --op randwrite --bs 4k --qd 16 --time 0.5 --verify
is_over
few_descriptors
end

# Daemons. What waits for a good one finds it in the end; what one of them did to a disk it says.
begin_io --op randwrite --bs 4k --qd 16 --time 1 --verify --reconnect 60
wait_for 'sluice io to listen' test -S "$sock"
"$python" -B "$here/uduse_hostile.py" daemons "$sock" || fail 'a lying daemon was not let go'
kill -0 "$io" || fail "sluice io has ended: $(tail -n 3 "$dir/io.log")"
few_descriptors "$io"
serve blk,mem=16M
is_over
io_said "o['errors'] == 0 and o['mismatches'] == 0 and o['checked'] > 100"
end

# The same for a NIC, on either side.
start gen:rate=1k "${driver/$sock/$sock-nic3}"
wait_for 'packets' reports 'there.packets > 200'
(($(find "/proc/$link/fd" | wc -l) < 60)) || fail "descriptors are left open: $(find "/proc/$link/fd" | wc -l)"
kill -KILL "$link"
kill -TERM "${others[@]}"

start gen:rate=1k "$driver"
"$python" -B "$here/uduse_hostile.py" daemons "$sock" || fail 'a lying daemon of a NIC was not let go'
alive || fail 'sluice link has ended'
(($(find "/proc/$link/fd" | wc -l) < 60)) || fail "descriptors are left open: $(find "/proc/$link/fd" | wc -l)"
start "$device" null:
wait_for 'packets' reports 'there.packets > 200'
