#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The kernel is the one asked for; sluice runs on it and finds what it has.
# guest: modules tun
# guest: python ../netns/report.py
# guest: files ../netns/lib.sh
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/../netns/lib.sh"
[[ $(uname -r) == "${GUEST_KERNEL%-cloud}".* ]] || fail "this is $(uname -r)"

"$sluice" --version | grep -q '^sluice [0-9]'
ok 'sluice --version'

"$sluice" probe --json >"$dir/probe.json" || (($? == 1))
answer() { # NAME: of the probe
	"$python" -c 'import json, sys
checks = {c["name"]: c["ok"] for c in json.load(open(sys.argv[1]))["checks"]}
print(checks[sys.argv[2]])' "$dir/probe.json" "$1"
}
[[ $(answer tun) == True && $(answer tap) == True ]]
ok 'sluice probe finds TUN and TAP'
# USO came to TUN with Linux 6.2.
uso=True
[[ $GUEST_KERNEL != 6.1 ]] || uso=False
[[ $(answer tun-uso) == "$uso" ]]
ok "sluice probe finds USO: $uso"
