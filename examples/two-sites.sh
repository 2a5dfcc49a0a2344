#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two sites joined by an encrypted tunnel, shown at work: this is what `make run` does.
#
#     site A (a network namespace)                             site B (another)
#     kernel stack <-> TUN sl0 <-> sluice <== UDP, a veth ==> sluice <-> TUN sl0 <-> kernel stack
#       10.77.0.1, fd77::1      192.0.2.1:1194         192.0.2.2:1194      10.77.0.2, fd77::2
#
# Then stock OpenVPN takes the place of B's sluice. Nothing of this machine's own network is
# touched, and all of it is gone afterwards. SECONDS_EACH=5 is how long each measurement takes.
set -euo pipefail
cd "$(dirname "$0")/.."
sluice=$(realpath "${SLUICE:-build/release/src/sluice}")
seconds=${SECONDS_EACH:-5}
PATH=$PATH:/usr/sbin:/sbin

# Without root: the same in a user namespace of our own (not as its root: tcpdump would want other users).
if [ "$(id -u)" != 0 ] && [ "${1-}" != inside ]; then
    exec unshare --user --map-current-user --keep-caps --net --mount bash -c \
        'mount -t tmpfs tmpfs /run && exec "$0" inside' "$PWD/examples/$(basename "$0")"
fi

declare -A ns=([A]=sluice-a-$$ [B]=sluice-b-$$) # the namespaces' names
declare -A fingerprint
declare -A cell # of the table at the end
work=$(mktemp -d /tmp/sluice-run.XXXXXX)
finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM HUP
    jobs -p | xargs -r kill 2>/dev/null || true
    for site in "${ns[@]}"; do
        ip netns pids "$site" 2>/dev/null | xargs -r kill 2>/dev/null || true
    done
    wait
    if [ "$status" != 0 ] && [ "$status" != 130 ]; then
        echo "It did not work. What was said last:"
        tail -n 5 "$work"/*.log 2>/dev/null | short
    fi
    for site in "${ns[@]}"; do
        # Who was killed in it may still be on its way out.
        for _ in 1 2 3 4 5; do
            [ ! -e "/run/netns/$site" ] || ip netns del "$site" 2>/dev/null || sleep 0.2
        done
    done
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

say() { printf '\n== %s\n' "$*"; }

# Full fingerprints and paths only make it hard to read.
short() { sed -uE "s/(([0-9A-F]{2}:){3})[0-9A-F:]{86}/\1.../g; s|$work/||g; s|$sluice|sluice|g"; }

at() { ip netns exec "${ns[$1]}" "${@:2}"; } # SITE COMMAND...: run it there
show() { echo "$1\$ ${*:2}" | short >&2; }
on() { show "$@" && at "$@"; }

start() { # SITE COMMAND...: in the background, what it says behind the site's letter; sets pid
    show "$@"
    ip netns exec "${ns[$1]}" "${@:2}" > >(tee -a "$work/$1.log" | short | sed -u "s/^/$1: /") 2>&1 &
    pid=$!
}

wait_until() { # COMMAND...: 20 s at most
    local end=$((SECONDS + 20))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || { echo "Waited in vain for: $*" && return 1; }
        sleep 0.1
    done
}

watchers=()
watch() { # SITE INTERFACE FILE: capture its IP packets until watched
    local command=(tcpdump -Z root --immediate-mode -i "$2" -w "$work/$3" ip or ip6)
    show "$1" "${command[@]}"
    ip netns exec "${ns[$1]}" "${command[@]}" 2>"$work/$3.log" &
    watchers+=($!)
    wait_until grep -q 'listening on' "$work/$3.log"
}
watched() {
    sleep 0.5
    kill "${watchers[@]}"
    wait "${watchers[@]}"
    watchers=()
}

# Into the table's COLUMN:
ping_b() { # COLUMN 4|6 ADDRESS-OF-B
    on A ping -q -c 3 -i 0.3 "$3" | tee "$work/out" | grep rtt
    cell[ping IPv$2,$1]=$(awk -F/ '/^rtt/ { print $5 " ms" }' "$work/out")
}
tcp() { # COLUMN ADDRESS-OF-B
    options=(--client "$2" --time "$seconds" --format g)
    for row in 'A to B' 'B to A'; do
        at B iperf3 --server --one-off --daemon >/dev/null
        sleep 0.3
        on A iperf3 "${options[@]}" | tee "$work/out" | grep 'receiver$'
        cell[TCP $row,$1]=$(sed -n 's/.* \([0-9.]*\) Gbits.*receiver$/\1 Gbit\/s/p' "$work/out")
        options+=(--reverse)
    done
}

ip netns add "${ns[A]}"
ip netns add "${ns[B]}"
ip link add wan netns "${ns[A]}" type veth peer name wan netns "${ns[B]}"
for site in A B; do
    ip -n "${ns[$site]}" link set wan addrgenmode none up
done
ip -n "${ns[A]}" addr add 192.0.2.1/24 dev wan
ip -n "${ns[B]}" addr add 192.0.2.2/24 dev wan

say "Keys: each site makes its own, and the other is told its fingerprint"
for site in A B; do
    show "$site" "$sluice" keygen --out "$work/id-$site"
    fingerprint[$site]=$(at "$site" "$sluice" keygen --out "$work/id-$site" 2>>"$work/keygen.log")
    echo "${fingerprint[$site]}"
done

say "The yardstick: the wire between the two (a veth pair), without a tunnel"
ping_b raw 4 192.0.2.2
tcp raw 192.0.2.2

say "The tunnel"
watch A wan wire-1.pcap
start A "$sluice" link --stats 0 tun:name=sl0,addr=10.77.0.1/24,addr=fd77::1/64 \
    "tunnel:local=192.0.2.1:1194,identity=$work/id-A,peer=${fingerprint[B]},role=server"
a=$pid
wait_until at A sh -c 'ss -Hlun sport = 1194 | grep .' # the client need not ask twice
start B "$sluice" link --stats 0 tun:name=sl0,addr=10.77.0.2/24,addr=fd77::2/64 \
    "tunnel:local=192.0.2.2:1194,remote=192.0.2.1:1194,identity=$work/id-B,peer=${fingerprint[A]},role=client"
b=$pid
wait_until at A ping -c 1 -W 1 10.77.0.2
ping_b sluice 4 10.77.0.2
ping_b sluice 6 fd77::2
watched
tcp sluice 10.77.0.2

say "The proof: a hundred sentences go from A to B, and somebody listens on the wire"
sentence="This is for site B and for nobody else."
watch A wan wire-2.pcap
watch B sl0 inside.pcap
start B python3 -c "import socket
lines = socket.create_server(('10.77.0.2', 7777)).accept()[0].makefile().readlines()
print(f'received {len(lines)} lines: {lines[0].strip()}')"
sender="for i in {1..100}; do echo '$sentence'; done >/dev/tcp/10.77.0.2/7777"
show A "$sender"
wait_until at A bash -c "$sender"
wait "$pid"
watched
python3 - "$work" "$sentence" <<'PYTHON' | tee "$work/proof"
import collections, pathlib, struct, sys

NAMES = {4: "P_CONTROL_V1", 5: "P_ACK_V1", 7: "P_CONTROL_HARD_RESET_CLIENT_V2",
         8: "P_CONTROL_HARD_RESET_SERVER_V2", 9: "P_DATA_V2"}
work, sentence = pathlib.Path(sys.argv[1]), sys.argv[2].encode()

def packets(capture):
    at = 24
    while at < len(capture):
        size = struct.unpack_from("=I", capture, at + 8)[0]
        yield capture[at + 16:at + 16 + size]
        at += 16 + size

opcodes, outside = collections.Counter(), 0
for capture in work.glob("wire-*.pcap"):
    for frame in packets(capture.read_bytes()):
        ip, udp = frame[14:34], frame[34:]
        if ip[0] != 0x45 or ip[9] != 17 or udp[:4] != struct.pack("!HH", 1194, 1194):
            sys.exit("Not the tunnel's, and on the wire: " + frame.hex())
        opcodes[udp[8] >> 3] += 1
        outside += frame.count(sentence)
inside = (work / "inside.pcap").read_bytes().count(sentence)
print(f"{opcodes.total()} packets on the wire, all UDP port 1194:")
for opcode, count in sorted(opcodes.items()):
    print(f"    {count:6} {NAMES.get(opcode, opcode)}")
print(f"Packets hold the sentence {inside} times in B's sl0, {outside} times on the wire")
sys.exit(opcodes[9] == 0 or inside == 0 or outside > 0)
PYTHON

say "Stock OpenVPN takes the place of B's sluice"
kill -INT "$b"
wait "$b"
wait_until grep -q 'goes away' "$work/A.log"
sleep 0.2 # until it is seen here too
if command -v openvpn >/dev/null; then
    start B openvpn --verb 1 --suppress-timestamps --disable-dco --dev-type tun --dev ovpn0 \
        --local 192.0.2.2 --remote 192.0.2.1 --port 1194 --proto udp4 --tls-client \
        --cert "$work/id-B/cert.pem" --key "$work/id-B/key.pem" --peer-fingerprint "${fingerprint[A]}" \
        --data-ciphers AES-256-GCM --ifconfig 10.77.0.2 10.77.0.1 --ifconfig-ipv6 fd77::2/64 fd77::1
    wait_until at A ping -c 1 -W 1 10.77.0.2
    ping_b openvpn 4 10.77.0.2
    ping_b openvpn 6 fd77::2
    tcp openvpn 10.77.0.2
    kill "$pid"
    wait "$pid"
else
    echo "There is no openvpn here: left out."
fi
kill -INT "$a"
wait "$a"
sleep 0.2

say "In short"
row() { printf '%-12s %17s %19s %20s\n' "$@"; }
row "" "raw veth" "sluice <-> sluice" "sluice <-> openvpn"
for what in 'ping IPv4' 'ping IPv6' 'TCP A to B' 'TCP B to A'; do
    row "$what" "${cell[$what,raw]:--}" "${cell[$what,sluice]}" "${cell[$what,openvpn]:--}"
done
echo "the wire      $(sed -n '1s/ on.*//p' "$work/proof"), 0 with the plaintext"
