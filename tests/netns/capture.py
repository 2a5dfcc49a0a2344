#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Capture files and raw frames, without libpcap.

usage: capture.py make FILE          a file of frames of many sizes, with random content
       capture.py same FILE FILE     the same packets in the same order?
       capture.py check FILE [LINKTYPE MAX]
                                     whole packets, none over MAX bytes, with right checksums; prints how many
       capture.py has FILE FILE...   every packet of the first is in one of the others, in this order
       capture.py inject NS IF FILE  send the frames of a file to an interface's other end
       capture.py watch NS IF FILE COMMAND...
                                     run it; the interface must then have received FILE's frames
       capture.py super NS IF FILE   the super-packets that `inject` would not send: TCP and UDP, IPv4 and
                                     IPv6; FILE gets the segments that they stand for
"""
import random
import socket
import struct
import subprocess
import sys
import time

import netns

MAGIC, MAGIC_NS = 0xa1b2c3d4, 0xa1b23c4d  # the second: times in nanoseconds
ETHERNET, RAW = 1, 101
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32
SOL_PACKET, PACKET_VNET_HDR = 263, 15
ETH_P_ALL = 3
HEADER = bytes.fromhex('020000000002 020000000001')


#
# Files: pcap-savefile(5)
#

def read(path):
    with open(path, 'rb') as file:
        data = file.read()
    magic, major, minor, _, _, _, linktype = struct.unpack_from('<IHHIIII', data)
    assert magic in (MAGIC, MAGIC_NS) and (major, minor) == (2, 4), f'{path}: no capture file'
    packets, at = [], 24
    while at < len(data):
        _, _, held, length = struct.unpack_from('<IIII', data, at)
        at += 16
        assert held == length, f'{path}: packet {len(packets)} is cut short: {held} of {length}'
        assert at + held <= len(data), f'{path}: ends in packet {len(packets)}'
        packets.append(data[at:at + held])
        at += held
    return linktype, packets


def write(path, linktype, packets):
    with open(path, 'wb') as file:
        file.write(struct.pack('<IHHIIII', MAGIC, 2, 4, 0, 0, 262144, linktype))
        for i, packet in enumerate(packets):
            file.write(struct.pack('<IIII', i, 0, len(packet), len(packet)) + packet)


def make(path):
    rand = random.Random(7)
    sizes = [14, 15, 59, 60, 64, 1499, 1500, 1514, 1518, 1522, 9014, 65535, 65549]
    sizes += [rand.randrange(60, 1514) for _ in range(180)]
    # An ether type that nobody answers to.
    write(path, ETHERNET, [HEADER + b'\x88\xb5' + rand.randbytes(size - 14) for size in sizes])


#
# Checksums: RFC 1071
#

def total(data):
    data += b'\0' * (len(data) % 2)
    n = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return n


def pseudo(ip, proto, length):
    addresses = ip[12:20] if ip[0] >> 4 == 4 else ip[8:40]
    return addresses + struct.pack('!II', length, proto)


def check_ip(ip):
    """Lengths and checksums of one IP packet; not those of fragments' contents."""
    if ip[0] >> 4 == 4:
        header = (ip[0] & 15) * 4
        length, proto = struct.unpack_from('!H', ip, 2)[0], ip[9]
        assert total(ip[:header]) == 0xffff, 'IPv4 header checksum'
        fragment = struct.unpack_from('!H', ip, 6)[0] & 0x3fff
    else:
        header, proto = 40, ip[6]
        length, fragment = 40 + struct.unpack_from('!H', ip, 4)[0], False
    assert length <= len(ip), f'IP says {length} bytes, there are {len(ip)}'
    above = ip[header:length]
    if fragment or proto not in (6, 17, 58):
        return
    if proto == 17:
        assert struct.unpack_from('!H', above, 4)[0] == len(above), 'UDP length'
        if ip[0] >> 4 == 4 and above[6:8] == b'\0\0':
            return
    assert total(pseudo(ip, proto, len(above)) + above) == 0xffff, f'checksum of protocol {proto}'


def check(path, linktype=None, most=1 << 20):
    found, packets = read(path)
    assert linktype is None or int(linktype) == found, f'{path}: link type {found}'
    for i, packet in enumerate(packets):
        assert len(packet) <= int(most), f'{path}: packet {i} has {len(packet)} bytes'
        kind = packet[12:14] if found == ETHERNET else b'\x08\0'
        try:
            if kind in (b'\x08\0', b'\x86\xdd'):
                check_ip(packet[14:] if found == ETHERNET else packet)
        except AssertionError as error:
            raise AssertionError(f'{path}: packet {i}: {error}: {packet[:64].hex()}') from None
    print(len(packets))


def difference(one, other):
    assert len(one) == len(other), f'{len(one)} packets and {len(other)}'
    for i, (a, b) in enumerate(zip(one, other)):
        assert a == b, f'packet {i} differs: {a[:64].hex()} of {len(a)}, {b[:64].hex()} of {len(b)}'


def same(*paths):
    (one, packets), (other, others) = map(read, paths)
    assert one == other, f'link types {one} and {other}'
    difference(packets, others)


def has(path, *others):
    wanted = read(path)[1]
    there = [packet for other in others for packet in read(other)[1] if packet in wanted]
    difference(wanted, there)


#
# Frames of an interface: packet(7)
#

def packet_socket(ns, interface, vnet=False):
    sock = netns.make_socket(ns, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    for option in SO_RCVBUFFORCE, SO_SNDBUFFORCE:
        sock.setsockopt(socket.SOL_SOCKET, option, 1 << 28)
    if vnet:
        sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    with netns.inside(ns):
        sock.bind((interface, ETH_P_ALL))
    return sock


def inject(ns, interface, path):
    sock = packet_socket(ns, interface)
    for packet in read(path)[1]:
        sock.send(packet)


def watch(ns, interface, path, *command):
    wanted = read(path)[1]
    sock = packet_socket(ns, interface)
    sock.settimeout(0.1)
    subprocess.run(command, check=True)
    got, end = [], time.monotonic() + 5
    while len(got) < len(wanted) and time.monotonic() < end:
        try:
            frame, (_, _, kind, *_) = sock.recvfrom(1 << 17)
        except TimeoutError:
            continue
        if kind != 4:  # PACKET_OUTGOING: what the kernel itself says here
            got.append(frame)
    difference(wanted, got)


#
# Super-packets
#

ADDRESSES = {4: (bytes([10, 9, 0, 1]), bytes([10, 9, 0, 2])),
             6: tuple(bytes.fromhex('fd09' + '00' * 13 + last) for last in ('01', '02'))}
GSO = {('tcp', 4): 1, ('tcp', 6): 4, ('udp', 4): 5, ('udp', 6): 5}  # virtio 1.2, 5.1.6


def ip_header(version, proto, length, ident=0):
    source, to = ADDRESSES[version]
    if version == 6:
        return struct.pack('!IHBB', 6 << 28, length, proto, 64) + source + to
    header = struct.pack('!BBHHHBBH', 0x45, 0, 20 + length, ident, 0, 64, proto, 0) + source + to
    return header[:10] + struct.pack('!H', ~total(header) & 0xffff) + header[12:]


def transport(what, seq, flags, length):
    if what == 'udp':
        return struct.pack('!HHHH', 1000, 2000, 8 + length, 0)
    return struct.pack('!HHIIBBHHH', 1000, 2000, seq, 1, 5 << 4, flags, 1000, 0, 0)


def frame(what, version, content, seq=0, flags=0x18, ident=0, whole=True):
    """An Ethernet frame; its checksum that of the pseudo header alone unless it is whole."""
    proto, field = (6, 16) if what == 'tcp' else (17, 6)
    above = transport(what, seq, flags, len(content)) + content
    ip = ip_header(version, proto, len(above), ident)
    start = pseudo(ip, proto, len(above))
    value = ~total(start + above) & 0xffff if whole else total(start)
    if whole and what == 'udp':
        value = value or 0xffff
    above = above[:field] + struct.pack('!H', value) + above[field + 2:]
    return HEADER + (b'\x08\0' if version == 4 else b'\x86\xdd') + ip + above


def segments(what, version, content, size, ident):
    pieces = [content[at:at + size] for at in range(0, len(content), size)]
    for i, piece in enumerate(pieces):
        flags = 0x18 if i == len(pieces) - 1 else 0x10  # PSH on the last alone
        yield frame(what, version, piece, i * size, flags, ident + i if version == 4 else 0)


def super_packets(ns, interface, path):
    sock = packet_socket(ns, interface, vnet=True)
    rand = random.Random(3)
    expected = []
    for (what, version), gso in GSO.items():
        for length, size in (60000, 1400), (3001, 1000), (64001, 1001):
            content = rand.randbytes(length)
            whole = frame(what, version, content, ident=100, whole=False)
            start = 14 + (20 if version == 4 else 40)
            field, end = (16, 20) if what == 'tcp' else (6, 8)
            vnet = struct.pack('<BBHHHH', 1, gso, start + end, size, start, field)
            sock.send(vnet + whole)
            expected += segments(what, version, content, size, 100)
    write(path, ETHERNET, expected)


if __name__ == '__main__':
    commands = {'make': make, 'same': same, 'check': check, 'has': has, 'inject': inject, 'watch': watch,
                'super': super_packets}
    commands[sys.argv[1]](*sys.argv[2:])
