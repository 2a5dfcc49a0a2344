#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two sites joined by `sluice link`, shown at work: this is what `make run` does.
#
#     site A (a network namespace)          site B (another)
#     kernel stack <-> TAP sl0  <-> sluice <-> TAP sl0 <-> kernel stack
#        10.77.0.1, fd77::1                    10.77.0.2, fd77::2
#
# The sites see nothing of each other but what one sluice process carries. Nothing of this
# machine's own network is touched, and all of it is gone afterwards. SECONDS_EACH=5 is how
# long each measurement takes.
set -eu
cd "$(dirname "$0")/.."
sluice=${SLUICE:-$PWD/build/release/src/sluice}
seconds=${SECONDS_EACH:-5}
a=sluice-a-$$ b=sluice-b-$$

# Without root: the same in a user namespace of our own.
if [ "$(id -u)" != 0 ]; then
    exec unshare --user --map-root-user --net --mount bash -c \
        'mount -t tmpfs tmpfs /run && exec "$0"' "$PWD/examples/$(basename "$0")"
fi

work=$(mktemp -d /tmp/sluice-run.XXXXXX)
link=
finish() {
    status=$?
    trap - EXIT
    [ -z "$link" ] || kill -INT "$link" 2>/dev/null && wait "$link" 2>/dev/null || true
    for site in "$a" "$b"; do
        ip netns pids "$site" 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del "$site" 2>/dev/null || true
    done
    [ "$status" = 0 ] || { echo "It did not work; the link said:"; cat "$work/link" 2>/dev/null; }
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

say() { printf '\n== %s\n' "$*"; }

say "Two sites, $a and $b, each with a TAP interface; sluice joins them"
ip netns add "$a"
ip netns add "$b"
echo "sluice link tap:name=sl0,netns=$a,addr=10.77.0.1/24,addr=fd77::1/64 \\"
echo "            tap:name=sl0,netns=$b,addr=10.77.0.2/24,addr=fd77::2/64"
"$sluice" link "tap:name=sl0,netns=$a,addr=10.77.0.1/24,addr=fd77::1/64" \
    "tap:name=sl0,netns=$b,addr=10.77.0.2/24,addr=fd77::2/64" \
    > >(tee "$work/link" | sed -u 's/^/    /') 2>&1 &
link=$!
for _ in $(seq 50); do
    ip -n "$b" link show sl0 >/dev/null 2>&1 && break
    sleep 0.1
done

say "ping from A to B, IPv4 and IPv6"
ip netns exec "$a" ping -c 3 -i 0.3 10.77.0.2 | tee "$work/ping4" | tail -n 2
ip netns exec "$a" ping -c 3 -i 0.3 fd77::2 | tee "$work/ping6" | tail -n 2

measure() { # NAME IPERF3-OPTION...
    name=$1
    shift
    say "iperf3, $name, $seconds s; the link's own rates meanwhile:"
    ip netns exec "$b" iperf3 --server --one-off --daemon --pidfile "$work/iperf3.pid" >/dev/null
    sleep 0.3
    ip netns exec "$a" iperf3 --client 10.77.0.2 --time "$seconds" --json "$@" >"$work/$name.json"
}
measure a-to-b
measure b-to-a --reverse

say "The link's totals"
kill -INT "$link"
wait "$link"
link=
sleep 0.2

say "In short"
python3 - "$work" <<'PYTHON'
import json, pathlib, re, sys

work = pathlib.Path(sys.argv[1])
row = "{:<28}{:>14}   {}".format
print(row("", "result", ""))
for name, file in (("ping, IPv4", "ping4"), ("ping, IPv6", "ping6")):
    text = (work / file).read_text()
    rtt = re.search(r"= [\d.]+/([\d.]+)/", text).group(1)
    loss = re.search(r"([\d.]+)% packet loss", text).group(1)
    print(row(name, rtt + " ms", loss + " % lost"))
for name, file in (("TCP, A to B", "a-to-b"), ("TCP, B to A", "b-to-a")):
    end = json.loads((work / (file + ".json")).read_text())["end"]
    rate = "%.2f Gbit/s" % (end["sum_received"]["bits_per_second"] / 1e9)
    print(row(name, rate, "%d retransmitted" % end["sum_sent"]["retransmits"]))
PYTHON
