#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What somebody without the key may send to an end of a tunnel. Run it in a network namespace on the wire.

usage: hostile.py WHAT FROM TO [FILE] [--count N] [--rate N]

FROM and TO are IPv4 ADDRESS:PORT; FROM need not be ours. Prints how many datagrams were sent. WHAT is
  client-resets, server-resets     hard resets with random session ids
  acked-resets                     client resets that acknowledge what was never sent
  soft-resets                      for random sessions
  opcodes                          all that there are not, random bytes behind
  keys                             P_DATA_V2 of key ids 1 to 7, random bytes behind
  noise                            random bytes behind all opcodes but that of data
  cut                              the data packets of FILE, each cut to 1 to 23 bytes
  empty                            nothing at all
  flipped                          the data packets of FILE, each with each of its bytes changed
  replay                           the packets of FILE once more, those of --opcode only when it is given
  reflect                          the data packets of FILE that TO has sent, back to it
  half-open                        FROM's address is ours: sessions of many ports that answer the cookie,
                                   and nothing after

Of FILE, a capture, only what went to TO is taken; of what is cut or changed, 8 packets.
"""
import argparse
import os
import random
import socket
import struct
import time

import wire

CONTROL, ACK, CLIENT, SERVER, SOFT, DATA = 4, 5, 7, 8, 3, 9
KNOWN = {3, 4, 5, 7, 8, 9}
rand = random.Random(4)


def address(text):
    host, _, port = text.rpartition(':')
    return host, int(port)


class Sender:
    """UDP with any source address."""

    def __init__(self, source, to, rate):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.source, self.to, self.rate = source, to, rate
        self.sent, self.start = 0, time.monotonic()

    def send(self, payload, port=None):
        length = 28 + len(payload)
        ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, length, 0, 0, 64, 17, 0, socket.inet_aton(self.source[0]),
                         socket.inet_aton(self.to[0]))
        udp = struct.pack('!HHHH', port or self.source[1], self.to[1], 8 + len(payload), 0)
        self.sock.sendto(ip + udp + payload, (self.to[0], 0))
        self.sent += 1
        ahead = self.sent / self.rate - (time.monotonic() - self.start)
        if ahead > 0.001:
            time.sleep(ahead)


def captured(args, opcode, mine=False):
    """What went to TO, or came from it."""
    end = socket.inet_aton(args.to[0])
    for packet in wire.packets(args.file):
        if packet.proto != wire.UDP or packet.above is None or (packet.source if mine else packet.to) != end:
            continue
        port, payload = struct.unpack_from('!H', packet.above, 0 if mine else 2)[0], packet.above[8:]
        if port == args.to[1] and opcode in (None, payload[0] >> 3):
            yield payload


def reset(opcode, acks=()):
    sid = rand.randbytes(8)
    packet = bytes([opcode << 3]) + sid + bytes([len(acks)])
    if acks:
        packet += b''.join(struct.pack('!I', ack) for ack in acks) + rand.randbytes(8)
    return packet + bytes(4)


def random_packets(args):
    def some(opcodes, keys=range(8), least=0):
        for i in range(args.count):
            first = rand.choice(opcodes) << 3 | rand.choice(keys)
            yield bytes([first]) + rand.randbytes(least + rand.randrange(200))

    return {
        'client-resets': lambda: (reset(CLIENT) for _ in range(args.count)),
        'server-resets': lambda: (reset(SERVER) for _ in range(args.count)),
        'acked-resets': lambda: (reset(CLIENT, range(1 + i % 8)) for i in range(args.count)),
        'soft-resets': lambda: (reset(SOFT) for _ in range(args.count)),
        'opcodes': lambda: some([n for n in range(32) if n not in KNOWN]),
        'keys': lambda: some([DATA], keys=range(1, 8), least=23),
        'noise': lambda: some([n for n in KNOWN if n != DATA]),
        'empty': lambda: (b'' for _ in range(args.count)),
    }.get(args.what)


def taken_packets(args):
    data = list(captured(args, DATA))[:8] if args.file and args.what in ('cut', 'flipped') else []
    if args.what == 'cut':
        for packet in data:
            yield from (packet[:length] for length in range(1, 24))
    elif args.what == 'flipped':
        for packet in data:
            for i in range(len(packet)):
                yield packet[:i] + bytes([packet[i] ^ 1]) + packet[i + 1:]
    elif args.what == 'replay':
        yield from captured(args, args.opcode)
    elif args.what == 'reflect':
        yield from captured(args, DATA, mine=True)


def half_open(args):
    """As a client whose address is real: it answers a cookie and then says no more."""
    for i in range(args.count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((args.source[0], 0))
            sock.settimeout(5)
            sid = os.urandom(8)
            sock.sendto(bytes([CLIENT << 3]) + sid + bytes(5), args.to)
            cookie = sock.recv(2048)[1:9]
            sock.sendto(bytes([ACK << 3]) + sid + bytes([1]) + bytes(4) + cookie, args.to)
    return args.count


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('what')
    parser.add_argument('source', type=address)
    parser.add_argument('to', type=address)
    parser.add_argument('file', nargs='?')
    parser.add_argument('--count', type=int, default=500)
    parser.add_argument('--rate', type=int, default=4000)
    parser.add_argument('--opcode', type=int)
    args = parser.parse_args()
    if args.what == 'half-open':
        print(half_open(args))
        return
    sender = Sender(args.source, args.to, args.rate)
    make = random_packets(args)
    for packet in make() if make else taken_packets(args):
        sender.send(packet)
    assert sender.sent or args.opcode == ACK, 'nothing to send'  # every ack may have gone with something else
    print(sender.sent)


if __name__ == '__main__':
    main()
