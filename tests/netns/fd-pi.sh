#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# fd=N, attached without IFF_NO_PI: four bytes stand before each packet, so it must be refused. TUNGETIFF
# cannot tell: its bit of that value is IFF_NOFILTER.
. "$(dirname "$0")/lib.sh"
namespaces a

for kind in tap tun; do
	refused 2 'without IFF_NO_PI' ip netns exec "$a" "$python" -B "$here/fd.py" $kind,pi,root "$a" t0 \
		"$sluice" link $kind:fd=9 null: --duration 0.1
done
