#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sluice io: what it refuses, each with its own sentence; that it finds what is wrong on a disk; how it ends.
. "$(dirname "$0")/serve-lib.sh"
cd "$dir"
truncate -s 8M disk.img
serve blk,file=disk.img,queues=2,queue-size=256

while IFS='|' read -r status words regex; do
	[[ $words ]] || continue
	eval "words=($words)"
	refused "$((status))" "${regex# }" "$sluice" io "${words[@]}"
	[[ $(wc -l <err.log) -le 2 ]] || fail "${words[*]}: says more than it should"
done <<'END'
2 |                                     | one socket is needed, 0 given
2 | disk.sock disk.sock                 | one socket is needed, 2 given
2 | disk.sock --op raed                 | no --op "raed"; did you mean "read"
2 | disk.sock --op                      | --op needs a value
2 | disk.sock --verfiy                  | no option "--verfiy"; did you mean "--verify"
2 | disk.sock --bs 1000                 | --bs 1000 is not a multiple of 512
2 | disk.sock --bs 0                    | --bs 0 is not a multiple
2 | disk.sock --bs 32M                  | --bs 32M is not a multiple of 512 up to 16M
2 | disk.sock --bs 4kk                  | --bs 4kk is not a size
2 | disk.sock --size -1                 | --size -1 is not a size
2 | disk.sock --size 99999999T          | --size 99999999T is too large
2 | disk.sock --qd 0                    | --qd 0 is not a number from 1 to
2 | disk.sock --queues 65               | --queues 65 is not a number from 1 to 64
2 | disk.sock --queue-size 100          | --queue-size 100 is not a power of two
2 | disk.sock --time x                  | --time x is not a number of seconds
2 | disk.sock --op flush --verify       | --op flush has nothing to --verify
2 | disk.sock --op discard --verify     | --op discard has nothing to --verify
2 | fd:x                                | fd:x is not fd: and a number
2 | fd:0 --listen                       | there is no --listen with fd:
2 | fd:0 --reconnect 1                  | there is no --reconnect with fd:
1 | nowhere.sock                        | nowhere.sock: nobody listens there
1 | disk.img                            | disk.img
1 | nowhere/disk.sock --listen          | nowhere/disk.sock
1 | disk.sock --listen                  | disk.sock
1 | disk.sock --queues 3                | has 2 queues: 3 are wanted
1 | disk.sock --queue-size 512          | refuses VHOST_USER_SET_VRING_
2 | disk.sock --size 9M                 | the device ends at 8388608
2 | disk.sock --offset 9M               | the device ends at 8388608
2 | disk.sock --offset 8M               | no block of --bs
2 | disk.sock --offset 100              | multiples of 512 bytes
2 | disk.sock --qd 1 --queue-size 2 --bs 4k | a request of 3 entries does not fit in a queue of 2
END

# What was written is recognised by a run that comes later.
io --op write --verify --time 0
io_said "o['requests'] == o['checked'] >= 2048 and o['bytes'] == o['requests'] * 4096 and o['final']" # reading back too
io --op read --verify --time 0 --queues 2 --poll
io_said "o['requests'] == 2048 and o['checked'] == 2048 and o['foreign'] == 0"
io --op randread --bs 512 --qd 1 --time 0 --size 1M --indirect
io_said "o['requests'] == 2048 and o['device']['capacity'] == 8 << 20"

# A wrong byte, a block in another's place, an older one: each is found, and where.
wrong() { # REGEX
	refused 1 "$1" "$sluice" io disk.sock --op read --verify --time 0
}
dd if=disk.img of=old.img bs=4k count=1 skip=3 status=none
printf x | dd of=disk.img bs=1 seek=$((7 * 4096 + 1000)) conv=notrunc status=none
wrong 'at 28672: byte 1000 of a block'
dd if=disk.img of=disk.img bs=4k count=1 skip=8 seek=7 conv=notrunc status=none
wrong 'at 28672 is what belongs to 32768'
io --op write --verify --time 0 --size 64k
dd if=old.img of=disk.img bs=4k count=1 seek=7 conv=notrunc status=none
wrong 'at 28672 is what belongs to 12288'
io --op write --time 0
refused 1 'nothing that was read could be verified' "$sluice" io disk.sock --op read --verify --time 0

# The range of --offset and --size, and nothing else.
io --op write --verify --time 0
io --op write-zeroes --verify --time 0 --offset 1M --size 2M --bs 64k
cmp -s -i $((1 << 20)):0 -n $((2 << 20)) disk.img /dev/zero || fail 'the range is not all zeroes'
io --op read --verify --time 0
io_said "o['checked'] == 2048 - 512 and o['foreign'] == 512"
io --op discard --time 0 --offset 4M --bs 64k --size 1M
io --op flush --time 0 --qd 4 --size 1M
io_said "o['requests'] == 256 and o['bytes'] == 0"

# A line an interval; SIGINT lets what is in flight come to an end.
"$sluice" io disk.sock --op randwrite --verify --time 100 --stats 0.1 --json >io.json 2>io.log &
io=$!
pids+=("$io")
wait_for 'three intervals' bash -c '(($(wc -l <"$1") >= 3))' - "$dir/io.json"
kill -INT "$io"
wait "$io" || fail "sluice io ended with $?"
io_said "o['final'] and o['iops'] > 0 and o['latency_ns']['p50'] <= o['latency_ns']['p99'] <= o['latency_ns']['max']"

# The server goes away, and nobody comes in its place.
"$sluice" io disk.sock --op randread --time 100 --reconnect 0.3 >io.json 2>io.log &
io=$!
pids+=("$io")
sleep 0.3
kill_it
status=0
wait "$io" || status=$?
((status == 1)) && grep -q 'nobody listens there' io.log || fail "ended with $status: $(cat io.log)"

# Read only; a disk that keeps nothing; and a connection that somebody else made.
serve blk,file=disk.img,ro=on
refused 2 'the device is read only' "$sluice" io disk.sock --op write
end
serve blk,null
refused 1 'is (what belongs|generation)|byte [0-9]+ of a block' "$sluice" io disk.sock --op write --verify --time 0 --size 8M
"$python" -B - "$sluice" <<'END'
import socket, subprocess, sys
s = socket.socket(socket.AF_UNIX)
s.connect('disk.sock')
subprocess.run([sys.argv[1], 'io', f'fd:{s.fileno()}', '--time', '0', '--size', '1M'], pass_fds=[s.fileno()], check=True,
               stdout=subprocess.DEVNULL)
END
end
