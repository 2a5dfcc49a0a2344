#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a tunnel sends, in a capture of the wire below it.

usage: wire.py count FILE [PORT]        datagrams of each opcode, as name=N; fails when there is one of an
                                        unknown opcode, or something else than UDP and what IP needs itself
       wire.py bytes FILE ADDRESS PORT  UDP payload bytes from and to there: sent_bytes=N
                                        received_bytes=N
       wire.py syns FILE                the MSS of each SYN: FAMILY SOURCE MSS
       wire.py fragments FILE           how many packets are fragments

Captures are of Ethernet or of IP packets. In what belongs together (IP fragments) only the first counts.
"""
import collections
import ipaddress
import struct
import sys

import capture

NAMES = {3: 'soft-reset', 4: 'control', 5: 'ack', 7: 'reset-client', 8: 'reset-server', 9: 'data'}
TCP, UDP, ICMP, ICMP6, FRAGMENT = 6, 17, 1, 58, 44


class Packet:
    """An IP packet; above is None for fragments but the first."""

    def __init__(self, ip):
        self.family = ip[0] >> 4
        if self.family == 4:
            self.proto, header = ip[9], (ip[0] & 15) * 4
            self.source, self.to = ip[12:16], ip[16:20]
            end, fragment = struct.unpack_from('!H2xH', ip, 2)
        else:
            self.proto, header = ip[6], 40
            self.source, self.to = ip[8:24], ip[24:40]
            end, fragment = 40 + struct.unpack_from('!H', ip, 4)[0], 0
            if self.proto == FRAGMENT:
                word = struct.unpack_from('!H', ip, 42)[0]
                self.proto, header, fragment = ip[40], 48, word >> 3 | (word & 1) << 13
        self.fragment = bool(fragment & 0x3fff)
        self.above = None if fragment & 0x1fff else ip[header:end]


def packets(path):
    linktype, frames = capture.read(path)
    for frame in frames:
        if linktype == capture.ETHERNET:
            if frame[12:14] not in (b'\x08\x00', b'\x86\xdd'):
                continue  # ARP
            frame = frame[14:]
        yield Packet(frame)


def count(path, port=1194):
    counts = collections.Counter()
    for packet in packets(path):
        if packet.above is None:
            continue
        if packet.proto != UDP:
            assert packet.proto in (ICMP, ICMP6), f'IP protocol {packet.proto} on the wire'
            continue
        if port not in struct.unpack_from('!HH', packet.above):
            continue
        opcode = packet.above[8] >> 3
        assert opcode in NAMES, f'opcode {opcode} on the wire'
        counts[NAMES[opcode]] += 1
    print(*(f'{name.replace("-", "_")}={counts[name]}' for name in NAMES.values()))


def count_bytes(path, address, port):
    address = ipaddress.ip_address(address).packed
    counts = [0, 0]
    for packet in packets(path):
        if packet.proto != UDP or packet.above is None:
            continue
        ports = struct.unpack_from('!HH', packet.above)
        for i, end in enumerate((packet.source, packet.to)):
            if end == address and ports[i] == port:
                counts[i] += len(packet.above) - 8
    print(f'sent_bytes={counts[0]} received_bytes={counts[1]}')


def mss_of(options):
    while options and options[0]:
        if options[0] == 1:
            options = options[1:]
            continue
        if options[0] == 2:
            return struct.unpack_from('!H', options, 2)[0]
        options = options[options[1]:]
    return None


def syns(path):
    for packet in packets(path):
        if packet.proto == TCP and packet.above and packet.above[13] & 2:
            options = packet.above[20:(packet.above[12] >> 4) * 4]
            print(packet.family, ipaddress.ip_address(packet.source), mss_of(options))


def main(what, path, *args):
    if what == 'count':
        count(path, *map(int, args))
    elif what == 'bytes':
        count_bytes(path, args[0], int(args[1]))
    elif what == 'syns':
        syns(path)
    else:
        print(sum(packet.fragment for packet in packets(path)))


if __name__ == '__main__':
    main(*sys.argv[1:])
