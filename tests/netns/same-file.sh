#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A capture that is read must not be overwritten meanwhile: what was in it survives.
. "$(dirname "$0")/lib.sh"
cd "$dir"

"$sluice" link gen:count=1000 pcap:write=original.pcap >/dev/null
cp original.pcap precious.pcap
ln -s precious.pcap alias.pcap
for ports in 'pcap:read=precious.pcap pcap:write=precious.pcap' 'pcap:write=alias.pcap pcap:read=precious.pcap' \
	'--pcap precious.pcap pcap:read=precious.pcap null:'; do
	read -ra words <<<"$ports"
	refused 2 'precious\.pcap|alias\.pcap' "$sluice" link "${words[@]}"
	capture same original.pcap precious.pcap
done

# Two writers would do it to each other.
refused 2 'x\.pcap' "$sluice" link --pcap x.pcap gen:count=10 pcap:write=x.pcap
