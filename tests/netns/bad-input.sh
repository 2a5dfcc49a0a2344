#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What cannot be: each with its own sentence, exit status 2, and nothing left behind.
. "$(dirname "$0")/lib.sh"
namespaces a b
cd "$dir"
ip -n "$a" link add taken type bridge 2>/dev/null || ip -n "$a" link add taken type ifb || skip 'no bridge, no ifb'
ip -n "$a" tuntap add tunny mode tun
ip -n "$a" tuntap add many mode tap multi_queue
start "tap:name=busy,netns=$a" null:
interfaces=$(ip -n "$a" -o link | awk '{ print $2 }')

# Each line: what is put behind `sluice`, then what it must say. Run in namespace a.
while IFS='|' read -r words regex; do
	[[ $words ]] || continue
	eval "words=($words)"
	refused 2 "${regex# }" ip netns exec "$a" "$sluice" "${words[@]}"
	[[ $(wc -l <"$dir/err.log") -le 2 && ! -s $dir/out ]] || fail "${words[*]}: says more than it should"
	[[ $(ip -n "$a" -o link | awk '{ print $2 }') == "$interfaces" ]] || fail "${words[*]}: left an interface behind"
done <<'END'
lnik tap:name=a null:                       | no command "lnik"; did you mean "link"\?
wxyz                                        | no command "wxyz"
help lnik                                   | did you mean "link"
help link probe                             | help takes one command
--verison                                   | no command "--verison"
probe --jsn                                 | did you mean "--json"
probe surplus                               | surplus
link                                        | two ports are needed, 0 given
link null:                                  | two ports are needed, 1 given
link null: null: null:                      | two ports are needed, 3 given
link --wrokers 2 gen: null:                 | no option "--wrokers"; did you mean "--workers"\?
link -x gen: null:                          | no option "-x"
link gen: null: --workers                   | --workers needs a value
link gen: null: --workers 0                 | --workers 0 is not a number from 1 to 64
link gen: null: --workers 65                | --workers 65 is not a number from 1 to 64
link gen: null: --workers 2x                | --workers 2x is not
link gen: null: --workers ''                | --workers  is not
link gen: null: --poll always               | --poll always is neither off, adaptive nor on
link gen: null: --duration -1               | --duration -1 is not a number of seconds
link gen: null: --duration soon             | --duration soon is not a number of seconds
link gen: null: --duration nan              | --duration nan is not a number of seconds
link gen: null: --stats inf                 | --stats inf is not a number of seconds
link gen: null: --stats 1e-9                | --stats 1e-9: 0.01 seconds at least
link gen: null: --duration 0.009            | --duration 0.009: 0.01 seconds at least
link gen: null: --json=yes                  | --json
link gen: null: --pcap nowhere/x.pcap       | cannot write a capture to nowhere/x\.pcap: No such file
link tapp:name=x null:                      | no kind of port "tapp"; did you mean "tap:"\?
link TAP:name=x null:                       | no kind of port "TAP"; did you mean "tap:"\?
link bogus:x=1 null:                        | no kind of port "bogus"; there are tap:, tun:, .*pcap:, gen:.* null:
link : null:                                | ":" is no port
link '' null:                               | "" is no port
link tap null:                              | one of name=IF and fd=N is needed
link tap: null:                             | one of name=IF and fd=N is needed
link tap:nmae=x null:                       | no parameter "nmae"; did you mean "name"\?
link tun:name=x,mac=02:00:00:00:00:01 null: | tun: no parameter "mac"
link null:x=1 gen:                          | null: takes no parameters, "x" was given
link pci: null:                             | pci: device is missing: pci:DEVICE
link pci:zz null:                           | "zz" is no PCI address such as 0000:00:03.0 or 00:03.0
link pci:0000:00:99.0 null:                 | "0000:00:99.0" is no PCI address
link pci:ffff:ff:1f.7 null:                 | there is no PCI device ffff:ff:1f.7
link pci:0000:00:03.0,via=vfo null:         | pci: via=vfo is not one of auto\|vfio\|uio_msix\|uio
link pci:0000:00:03.0,force=yes null:       | pci: force=yes is neither on nor off
link pci:0000:00:03.0,queues=0 null:        | pci: queues=0 is out of range: 1 to 8
link pci:0000:00:03.0,promisc=maybe null:   | pci: promisc=maybe is neither on nor off
link tap:name null:                         | name needs a value: name=IF
link tap:name= null:                        | name= needs a value: name=IF
link tap:name=x,name=y null:                | name is given twice
link tap:name=x,,mtu=1500 null:             | no parameter ""
link tap:name=x,mtu=67 null:                | mtu=67 is out of range: 68 to 65521
link tap:name=x,mtu=65522 null:             | mtu=65522 is out of range: 68 to 65521
link tap:name=x,mtu=1e3 null:               | mtu=1e3 is not a whole number from 68 to 65521
link tap:name=x,mtu=-1 null:                | mtu=-1 is not a whole number
link tap:name=x,mtu=99999999999999999999 null: | mtu=9+ is not a whole number
link tap:name=x,queues=0 null:              | queues=0 is out of range: 1 to 16
link tap:name=x,queues=17 null:             | queues=17 is out of range: 1 to 16
link tap:name=x,offload=yes null:           | offload=yes is neither on nor off
link tap:name=x,mac=02:00:00:00:00 null:    | mac=02:00:00:00:00 is not a MAC address
link tap:name=x,mac=01:00:00:00:00:01 null: | mac=01:00:00:00:00:01 is not a unicast address
link tap:name=x,addr=10.0.0.1 null:         | addr=10.0.0.1 is not an address with a prefix length
link tap:name=x,addr=10.0.0.1/33 null:      | addr=10.0.0.1/33 is not an address with a prefix length
link tap:name=x,addr=fd00::1/129 null:      | addr=fd00::1/129 is not an address
link tap:name=x,mtu=576,addr=fd00::1/64 null: | cannot give x the address fd00::1/64
link tap:name=sixteenletters16 null:        | name=sixteenletters16 is too long: 16 characters, at most 15
link tap:name=a/b null:                     | "a/b" is no name for an interface
link tap:name=.. null:                      | "\.\." is no name for an interface
link tap:name=t%d null:                     | "t%d" is no name for an interface
link 'tap:name=a b' null:                   | "a b" is no name for an interface
link tap:name=taken null:                   | interface taken exists and is not a TAP interface of one queue
link tun:name=lo null:                      | interface lo exists and is not a TUN interface
link tap:name=tunny null:                   | interface tunny exists and is not a TAP interface
link tap:name=many null:                    | interface many exists and is not a TAP interface of one queue
link tap:name=tunny,queues=2 null:          | interface tunny exists and is not a TAP interface of several queues
link tap:name=busy null:                    | interface busy is taken: another program has it open
link tap:name=x,netns=nowhere null:         | no network namespace nowhere: ip netns add nowhere
link tap:name=x,netns=/etc/hostname null:   | cannot enter network namespace /etc/hostname
link tap:name=x tap:name=x                  | both ports are tap:name=x: a link needs two different ones
link tap:name=x,mtu=1500 tap:name=x         | both ports are
link tap:name=x tun:name=x                  | interface x is taken|interface x exists
link tap:name=x tun:name=y                  | tap: carries Ethernet \(layer 2\) and tun: carries IP \(layer 3\): they cannot be joined
link tap:name=x,mtu=1400 tap:name=y         | tap: has an MTU of 1400 and tap: one of 1500: give both the same mtu=
link null: null:                            | neither null: nor null: ever has a packet to give
link null: pcap:write=x.pcap                | neither null: nor pcap: ever has a packet to give
link gen:size=27 null:                      | size=27 is out of range: 28 to 65549
link gen:size=41 tap:name=x                 | size=41 is too small for headers: at least 42
link gen:size=1515 tap:name=x               | does not fit the other port's MTU of 1500: at most 1514
link gen:size=1501 tun:name=x               | does not fit the other port's MTU of 1500: at most 1500
link gen:rate=0 null:                       | rate=0 is out of range
link gen:rate=10kk null:                    | rate=10kk is not a rate such as 5000, 10k, 1M or max
link gen:rate=99999999999G null:            | rate=99999999999G is not a rate
link gen:flows=1025 null:                   | flows=1025 is out of range: 1 to 1024
link gen:count=0 null:                      | count=0 is out of range
link pcap: null:                            | one of read=FILE and write=FILE is needed
link pcap:read=x,write=y null:              | one of read=FILE and write=FILE is needed
link pcap:read=nowhere.pcap null:           | nowhere\.pcap: No such file
END

[[ ! -e x.pcap ]] || fail 'x.pcap was written for a link that never was'
stop
