#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A NIC that is a process, shown at work: this is what `make run` does after disk.sh.
#
#     site A (a network namespace)                                                    site B (another)
#     kernel stack <-> TAP t0 <-> sluice, virtio-user: <== vhost-user ==> sluice, vhost-user: <-> TAP t0 <-> kernel stack
#       10.78.0.1                 drives the NIC           memory, rings      is the NIC               10.78.0.2
#
# While A pings B, the NIC is killed with -9 and started again, five times. Nothing of this machine's own network is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
sluice=$(realpath "${SLUICE:-build/release/src/sluice}")
PATH=$PATH:/usr/sbin:/sbin

# Without root: the same in a user namespace of our own.
if [ "$(id -u)" != 0 ] && [ "${1-}" != inside ]; then
    exec unshare --user --map-current-user --keep-caps --net --mount bash -c \
        'mount -t tmpfs tmpfs /run && exec "$0" inside' "$PWD/examples/$(basename "$0")"
fi

declare -A ns=([A]=sluice-nic-a-$$ [B]=sluice-nic-b-$$) # the namespaces' names
work=$(mktemp -d "${TMPDIR:-/tmp}/sluice-run.XXXXXX")
finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM HUP
    jobs -p | xargs -r kill -KILL 2>/dev/null || true
    wait 2>/dev/null
    for site in "${ns[@]}"; do
        ip netns pids "$site" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
        ip netns del "$site" 2>/dev/null || true
    done
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
show() { echo "$1\$ ${*:2}" | sed "s|$work/||g; s|$sluice|sluice|g; s|,netns=[^, ]*||g"; }
at() { ip netns exec "${ns[$1]}" "${@:2}"; } # SITE COMMAND...: run it there

link() { # SITE PORT...: in the background; pid
    show "$1" "$sluice" link "${@:2}"
    "$sluice" link --stats 0 "${@:2}" >>"$work/$1.log" 2>&1 &
    pid=$!
}

wait_until() { # COMMAND...: for some seconds, as long as the sluice that was started last runs
    for _ in {1..200}; do
        "$@" >/dev/null 2>&1 && return
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.02
    done
    return 1
}
b_answers() { at A ping -q -c 1 -W 0.2 10.78.0.2; }
b_listens() { at B ss -Hltn sport = 5201 | grep -q .; }

# The interfaces are there before and after; an address each, and who has the other.
for site in A B; do
    ip netns add "${ns[$site]}"
    ip -n "${ns[$site]}" tuntap add t0 mode tap
done
ip -n "${ns[A]}" link set t0 address 02:00:00:00:00:0a up
ip -n "${ns[B]}" link set t0 address 02:00:00:00:00:0b up
ip -n "${ns[A]}" addr add 10.78.0.1/24 dev t0
ip -n "${ns[B]}" addr add 10.78.0.2/24 dev t0

say "B is a NIC at nic.sock; A drives it"
link B "vhost-user:path=$work/nic.sock" "tap:name=t0,netns=${ns[B]}"
nic=$pid
link A "tap:name=t0,netns=${ns[A]}" "virtio-user:path=$work/nic.sock"
driver=$pid
wait_until b_answers
show A ping -c 5 -i 0.1 10.78.0.2
at A ping -q -c 5 -i 0.1 10.78.0.2 | tail -n 2

say "What it carries: TCP, one second each way"
for way in 'A to B' 'B to A'; do
    at B iperf3 --server --one-off --daemon >/dev/null
    wait_until b_listens
    [ "$way" = 'A to B' ] && options=() || options=(--reverse)
    at A iperf3 --client 10.78.0.2 --time 1 --format g "${options[@]}" | sed -n "s/.* \([0-9.]* Gbits\/sec\).*receiver$/$way  \1/p"
done

say "Killed with -9 and started again, five times, while A asks fifty times a second"
at A ping -c 75 -i 0.02 -W 1 10.78.0.2 >"$work/ping" &
ping=$!
for _ in {1..5}; do
    sleep 0.2
    show B kill -9 "$nic"
    kill -KILL "$nic"
    wait "$nic" 2>/dev/null || true
    link B "vhost-user:path=$work/nic.sock" "tap:name=t0,netns=${ns[B]}" >/dev/null
    nic=$pid
done
wait "$ping" || true
tail -n 2 "$work/ping"
wait_until b_answers

say "Told to end, both leave in order"
kill -TERM "$driver" "$nic"
wait "$driver"
wait "$nic"
tail -n 5 "$work/A.log" | sed "s|$work/||g; s|,netns=[^, ]*||g"
[ ! -e "$work/nic.sock" ]
