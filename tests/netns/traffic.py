#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TCP and UDP whose content is checked, from one network namespace to another.

usage: traffic.py tcp FROM TO ADDRESS [--bytes N]
           N bytes in each direction at once, compared by SHA-256
       traffic.py udp FROM TO ADDRESS [--count N] [--size N] [--gso N] [--window N] [--rate N]
                                      [--flows N] [--lossy] [--ordered]
           N datagrams, each with its number and a CRC-32. Not more than --window of them are on
           their way at once; 0 for no such limit. --gso: hand datagrams of that size to the kernel
           in buffers of up to 64 KiB (UDP_SEGMENT).

ADDRESS is one of TO's. Fails when content is wrong or lacking; prints what became of it.
"""
import argparse
import hashlib
import os
import random
import socket
import struct
import sys
import threading
import time
import zlib

import netns

TIMEOUT = 20        # seconds without any progress
IDLE = 0.5          # seconds after the last datagram, when some are lost
HEADER = struct.Struct('!II')  # number, CRC-32 of number and content
UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33


def family_of(address):
    return socket.AF_INET6 if ':' in address else socket.AF_INET


class Flow(threading.Thread):
    """A thread whose exception is the program's."""
    failed = None

    def __init__(self, work, *args):
        super().__init__(daemon=True)
        self.work, self.args = work, args
        self.start()

    def run(self):
        try:
            self.work(*self.args)
        except BaseException as error:
            self.failed = error

    def result(self):
        self.join()
        if self.failed:
            raise self.failed


#
# TCP
#

def listen(ns, family):
    server = netns.make_socket(ns, family, socket.SOCK_STREAM)
    server.settimeout(TIMEOUT)
    server.bind(('', 0))
    server.listen()
    return server


def send_stream(sock, size, digest, seed):
    content = random.Random(seed)
    block = content.randbytes(1 << 18)
    left = size
    while left:
        piece = block[:left]
        digest.update(piece)
        sock.sendall(piece)
        left -= len(piece)
        block = block[1:] + block[:1]  # no two blocks are the same
    sock.shutdown(socket.SHUT_WR)


def receive_stream(sock, digest):
    while data := sock.recv(1 << 18):
        digest.update(data)


def tcp(args):
    family = family_of(args.address)
    server = listen(args.to, family)
    ends = [netns.make_socket(args.source, family, socket.SOCK_STREAM)]
    ends[0].settimeout(TIMEOUT)
    ends[0].connect((args.address, server.getsockname()[1]))
    ends.append(server.accept()[0])
    ends[1].settimeout(TIMEOUT)
    sent, received = ([hashlib.sha256() for _ in ends] for _ in range(2))
    flows = [Flow(send_stream, end, args.bytes, sent[i], i) for i, end in enumerate(ends)]
    flows += [Flow(receive_stream, end, received[1 - i]) for i, end in enumerate(ends)]
    for flow in flows:
        flow.result()
    for i in range(2):
        assert sent[i].digest() == received[i].digest(), f'tcp: direction {i}: the content has changed'
    print(f'tcp: {args.bytes} bytes each way')


#
# UDP
#

CONTENT = random.Random(1).randbytes(1 << 17)


def datagram(number, size):
    at = number % (1 << 16)
    content = CONTENT[at:at + size - HEADER.size]
    return HEADER.pack(number, zlib.crc32(content, number)) + content


class Receiver:
    def __init__(self, ns, family, sizes):
        self.sock = netns.make_socket(ns, family, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 28)
        self.sock.bind(('', 0))
        self.sock.settimeout(0.1)
        self.sizes = sizes
        self.seen = set()
        self.latest = {}
        self.duplicate = self.corrupt = self.reordered = 0
        self.at = time.monotonic()  # of the last datagram
        self.stopping = False

    def run(self):
        while not self.stopping:
            try:
                data, sender = self.sock.recvfrom(1 << 17)
            except TimeoutError:
                continue
            self.take(data, sender[1])
            self.at = time.monotonic()

    def take(self, data, flow):
        number, crc = HEADER.unpack_from(data) if len(data) >= HEADER.size else (0, None)
        if len(data) not in self.sizes or zlib.crc32(data[HEADER.size:], number) != crc:
            self.corrupt += 1
        elif number in self.seen:
            self.duplicate += 1
        else:
            self.seen.add(number)
            self.reordered += number < self.latest.get(flow, -1)
            self.latest[flow] = number


def udp_buffers(args, flow):
    """The datagrams of one flow, as the kernel is to get them: (buffer, datagrams in it)."""
    numbers = range(flow, args.count, args.flows)
    if not args.gso:
        for number in numbers:
            yield datagram(number, args.size), 1
        return
    each = min(65000 // args.gso, 64)
    for i in range(0, len(numbers), each):
        some = numbers[i:i + each]
        yield b''.join(datagram(number, args.gso) for number in some), len(some)


def udp_sender(args):
    sock = netns.make_socket(args.source, family_of(args.address), socket.SOCK_DGRAM)
    if args.gso:
        sock.setsockopt(socket.SOL_UDP, UDP_SEGMENT, args.gso)
    return sock


def wait_for_window(args, receiver, sent):
    """False when nothing arrives any more."""
    start = time.monotonic()
    while sent - len(receiver.seen) > args.window:
        if time.monotonic() - max(start, receiver.at) > 5:
            return False
        time.sleep(0.0005)
    return True


def send_datagrams(args, receiver):
    port = receiver.sock.getsockname()[1]
    socks = [udp_sender(args) for _ in range(args.flows)]
    buffers = [udp_buffers(args, flow) for flow in range(args.flows)]
    start, sent, flow, going = time.monotonic(), 0, 0, True
    while sent < args.count and going:
        buffer, n = next(buffers[flow], (None, 0))
        if n:
            socks[flow].sendto(buffer, (args.address, port))
        sent += n
        flow = (flow + 1) % args.flows
        if args.window:
            going = wait_for_window(args, receiver, sent)
        ahead = sent / args.rate - (time.monotonic() - start) if args.rate else 0
        if ahead > 0.001:
            time.sleep(ahead)
    return sent


def udp(args):
    receiver = Receiver(args.to, family_of(args.address), {args.gso or args.size})
    thread = Flow(receiver.run)
    sent = send_datagrams(args, receiver)
    end = time.monotonic()
    while len(receiver.seen) < sent and time.monotonic() - max(end, receiver.at) < IDLE:
        time.sleep(0.005)
    time.sleep(0.02)  # a duplicate would come late
    receiver.stopping = True
    thread.result()
    r, lost = receiver, sent - len(receiver.seen)
    print(f'sent={sent} received={len(r.seen)} lost={lost} duplicate={r.duplicate} corrupt={r.corrupt} '
          f'reordered={r.reordered}')
    return bool(r.corrupt or r.duplicate or (lost and not args.lossy) or (r.reordered and args.ordered))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('what', choices=['tcp', 'udp'])
    parser.add_argument('source')
    parser.add_argument('to')
    parser.add_argument('address')
    parser.add_argument('--bytes', type=int, default=4000000)
    for name, default in ('count', 1000), ('size', 1000), ('gso', 0), ('window', 64), ('rate', 0), ('flows', 1):
        parser.add_argument('--' + name, type=int, default=default)
    parser.add_argument('--lossy', action='store_true')
    parser.add_argument('--ordered', action='store_true')
    args = parser.parse_args()
    return {'tcp': tcp, 'udp': udp}[args.what](args)


if __name__ == '__main__':
    sys.exit(main())
