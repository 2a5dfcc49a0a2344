#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk that is a process, shown at work: this is what `make run` does after two-sites.sh.
#
#     sluice io: 32 requests at once, each block verified  <== vhost-user: memory, rings, eventfds ==>  sluice serve  <-> disk.img
#
# While it is written and verified, the server is killed with -9 and started again, ten times. No rights are needed.
set -euo pipefail
cd "$(dirname "$0")/.."
sluice=$(realpath "${SLUICE:-build/release/src/sluice}")
work=$(mktemp -d "${TMPDIR:-/tmp}/sluice-run.XXXXXX")
finish() {
    status=$?
    trap - EXIT
    jobs -p | xargs -r kill -KILL 2>/dev/null || true
    wait
    if [ "$status" != 0 ] && [ "$status" != 130 ]; then
        echo "It did not work. What was said last:"
        tail -n 5 "$work"/*.log 2>/dev/null
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

say() { printf '\n== %s\n' "$*"; }
show() { echo "\$ $*" | sed "s|$work/||g; s|$sluice|sluice|g"; }

serve() { # in the background; returns when it is ready
    : >"$work/serve.log"
    "$sluice" serve --stats 0 "blk,file=$work/disk.img,queues=2" --via "vhost-user:path=$work/disk.sock" \
        >>"$work/totals" 2>"$work/serve.log" &
    server=$!
    until grep -q ready "$work/serve.log"; do
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.01
    done
}

say "A disk of 256 MB: a file, and a process that is a virtio device over vhost-user"
truncate -s 256M "$work/disk.img"
show "$sluice" serve "blk,file=$work/disk.img,queues=2" --via "vhost-user:path=$work/disk.sock"
serve

say "How fast it is: one queue, a driver in another process"
for what in 'randread --qd 1' 'randread --qd 32' 'randwrite --qd 32'; do
    # shellcheck disable=SC2086 # words
    show "$sluice" io "$work/disk.sock" --op $what --bs 4k --time 1
    # shellcheck disable=SC2086
    "$sluice" io "$work/disk.sock" --op $what --bs 4k --time 1 --stats 0 | sed "s,$work/,,"
done

say "Written and verified, while the server is killed with -9 and started again, ten times"
command=("$sluice" io "$work/disk.sock" --op randwrite --bs 4k --qd 32 --queues 2 --time 4 --verify --reconnect 10 --stats 0)
show "${command[@]}"
"${command[@]}" >"$work/io.out" 2>"$work/io.log" &
io=$!
for n in {1..10}; do
    sleep 0.3
    show kill -9 "$server"
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    serve
    until [ "$(grep -c 'connected again' "$work/io.log")" -ge "$n" ] || ! kill -0 "$io" 2>/dev/null; do
        sleep 0.01
    done
done
wait "$io"
sed "s,$work/,," "$work/io.out"

say "Told to end, it leaves in order"
show kill "$server"
kill -TERM "$server"
wait "$server"
tail -n 3 "$work/totals"
[ ! -e "$work/disk.sock" ]
