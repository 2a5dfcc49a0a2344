#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A UDP path that behaves badly, in a reproducible way.

usage: relay.py LISTEN TARGET [--loss P] [--duplicate P] [--reorder P] [--corrupt P] [--delay MS]
                              [--control-only] [--seed N]

Forwards both ways between TARGET and whoever has sent to LISTEN last: ADDRESS:PORT, an IPv6 address
in brackets. P is a probability: a datagram is lost, sent twice, held back for 30 ms, or has one bit
changed. --control-only leaves OpenVPN's P_DATA_V2 alone. What happens to the nth datagram of a
direction depends on the seed alone.

Says "ready" on standard error. SIGTERM ends it: it prints its counts as report.py reads them, `there`
being the direction to TARGET.
"""
import argparse
import heapq
import json
import random
import selectors
import signal
import socket
import sys
import time

P_DATA_V2 = 9
HELD_BACK = 0.03  # seconds
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33


class Direction:
    def __init__(self, args, name):
        self.args = args
        self.rand = random.Random(f'{args.seed} {name}')
        self.counts = dict.fromkeys(('received', 'control', 'sent', 'dropped', 'duplicated', 'reordered',
                                     'corrupted'), 0)

    def happens(self, what, probability):
        happens = self.rand.random() < probability
        self.counts[what] += happens
        return happens

    def fate(self, data):
        """What becomes of a datagram: (seconds until it is sent, its bytes), any number of times."""
        args = self.args
        control = not data or data[0] >> 3 != P_DATA_V2
        self.counts['received'] += 1
        self.counts['control'] += control
        if args.control_only and not control:
            return [(args.delay, data)]
        if self.happens('dropped', args.loss):
            return []
        if data and self.happens('corrupted', args.corrupt):
            bit = self.rand.randrange(len(data) * 8)
            data = data[:bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1:]
        delay = args.delay + (HELD_BACK if self.happens('reordered', args.reorder) else 0)
        return [(delay, data)] * (2 if self.happens('duplicated', args.duplicate) else 1)


class Relay:
    def __init__(self, args):
        self.there, self.back = Direction(args, 'there'), Direction(args, 'back')
        self.client = None
        self.queue = []  # (when, number, direction, bytes)
        self.number = 0
        self.front, self.rear = (self.udp(address) for address in (args.listen, args.target))
        self.front.bind(args.listen)
        self.rear.connect(args.target)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.front, selectors.EVENT_READ, self.there)
        self.selector.register(self.rear, selectors.EVENT_READ, self.back)

    @staticmethod
    def udp(address):
        sock = socket.socket(socket.AF_INET6 if ':' in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        for option in SO_SNDBUFFORCE, SO_RCVBUFFORCE:
            sock.setsockopt(socket.SOL_SOCKET, option, 1 << 24)
        sock.setblocking(False)
        return sock

    def receive(self, sock, direction):
        for _ in range(64):  # and then look at what is due
            try:
                data, sender = sock.recvfrom(1 << 16)
            except ConnectionRefusedError:  # nobody at the target's port at the moment
                continue
            except BlockingIOError:
                return
            if direction is self.there:
                self.client = sender
            for delay, copy in direction.fate(data):
                self.number += 1
                heapq.heappush(self.queue, (time.monotonic() + delay, self.number, direction, copy))

    def send(self, direction, data):
        try:
            if direction is self.there:
                self.rear.send(data)
            elif self.client:
                self.front.sendto(data, self.client)
            direction.counts['sent'] += 1
        except (ConnectionRefusedError, BlockingIOError):
            pass

    def run(self):
        while True:
            while self.queue and self.queue[0][0] <= time.monotonic():
                _, _, direction, data = heapq.heappop(self.queue)
                self.send(direction, data)
            wait = max(self.queue[0][0] - time.monotonic(), 0) if self.queue else None
            for key, _ in self.selector.select(wait):
                self.receive(key.fileobj, key.data)


def address(text):
    host, _, port = text.rpartition(':')
    return host.strip('[]'), int(port)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('listen', type=address)
    parser.add_argument('target', type=address)
    for name in 'loss', 'duplicate', 'reorder', 'corrupt':
        parser.add_argument('--' + name, type=float, default=0)
    parser.add_argument('--delay', type=lambda text: float(text) / 1000, default=0)
    parser.add_argument('--control-only', action='store_true')
    parser.add_argument('--seed', type=int, default=1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    relay = Relay(parser.parse_args())
    print('ready', file=sys.stderr, flush=True)
    try:
        relay.run()
    finally:
        print(json.dumps({'directions': [relay.there.counts, relay.back.counts]}))


if __name__ == '__main__':
    main()
