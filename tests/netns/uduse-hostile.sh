#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# uduse with drivers and with daemons that send nonsense, lie, are late, or never answer: they lose their connection, and
# the next is served. Each message by itself: unit tests uduse_*, fuzz_uduse_*.
. "$(dirname "$0")/uduse-lib.sh"

# Drivers.
serve_uduse blk,mem=16M
"$python" -B "$here/uduse_hostile.py" drivers "$sock" || fail 'a lying driver was not let go'
alive || fail 'sluice serve has ended'
drive --op randwrite --bs 4k --qd 16 --time 0.5 --verify
is_over
(($(find "/proc/$link/fd" | wc -l) < 40)) || fail "descriptors are left open: $(find "/proc/$link/fd" | wc -l)"
end

# Daemons. What waits for a good one finds it in the end; what one of them did to a disk it says.
"$sluice" io "uduse:$sock" --json --op randwrite --bs 4k --qd 16 --time 1 --verify --reconnect 60 \
	>"$dir/io.json" 2>"$dir/io.log" &
io=$!
pids+=("$io")
wait_for 'sluice io to listen' test -S "$sock"
"$python" -B "$here/uduse_hostile.py" daemons "$sock" || fail 'a lying daemon was not let go'
kill -0 "$io" || fail "sluice io has ended: $(tail -n 3 "$dir/io.log")"
(($(find "/proc/$io/fd" | wc -l) < 40)) || fail "descriptors are left open: $(find "/proc/$io/fd" | wc -l)"
serve_uduse blk,mem=16M
is_over
io_said "o['errors'] == 0 and o['mismatches'] == 0 and o['checked'] > 100"
end

# The same for a NIC, on either side.
device="uduse:path=$sock" driver="virtio-user:path=$sock,via=uduse"
start "$device" null:
"$python" -B "$here/uduse_hostile.py" drivers "$sock" || fail 'a lying driver of a NIC was not let go'
alive || fail 'sluice link has ended'
begin "$sluice" link --json --stats 0.1 gen:rate=1k "$driver"
driven_by=$link
sleep 2.5 # the device tries once a second
(($(find "/proc/$link/fd" | wc -l) < 60)) || fail "descriptors are left open: $(find "/proc/$link/fd" | wc -l)"
holds 'there.packets > 200'
kill -KILL "$driven_by"
kill -TERM "${pids[-2]}"
rm -f "$sock"

start gen:rate=1k "$driver"
"$python" -B "$here/uduse_hostile.py" daemons "$sock" || fail 'a lying daemon of a NIC was not let go'
alive || fail 'sluice link has ended'
(($(find "/proc/$link/fd" | wc -l) < 60)) || fail "descriptors are left open: $(find "/proc/$link/fd" | wc -l)"
begin "$sluice" link --json --stats 0.1 "$device" null:
wait_for 'packets' reports 'there.packets > 200'
