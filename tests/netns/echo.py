#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TCP and UDP whose content is checked, to who sends it back: for ends that one program cannot have both of, as in two kernels.

usage: echo.py serve NS                what comes to port 7 goes back; trains of datagrams as trains; says "ready"
       echo.py tcp NS ADDRESS [--bytes N | --until FILE] [--flows N]
                                       each connection: N bytes, or until FILE is there, compared by SHA-256
       echo.py udp NS ADDRESS [--count N] [--size N] [--gso N] [--window N]
                                       N datagrams, each with its number and a CRC-32; not more than --window on their way

NS is the network namespace to be in, - this one. Fails when content is wrong or lacking; prints what became of it.
"""
import argparse
import contextlib
import hashlib
import os
import random
import socket
import sys
import threading
import time

import netns
import traffic

PORT = 7
UDP_GRO = 104
SO_INCOMING_NAPI_ID = 56
IPPROTO_IPV6, IPV6_V6ONLY = 41, 26


def make_socket(ns, family, kind):
    return socket.socket(family, kind) if ns == '-' else netns.make_socket(ns, family, kind)


#
# Who sends it back
#

def listen(ns, kind):
    sock = make_socket(ns, socket.AF_INET6, kind)
    sock.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(('::', PORT))
    return sock


def return_stream(sock):
    with sock, contextlib.suppress(OSError):  # the other end has gone
        while data := sock.recv(1 << 18):
            sock.sendall(data)


def return_streams(server):
    server.listen()
    while True:
        sock, _ = server.accept()
        threading.Thread(target=return_stream, args=(sock,), daemon=True).start()


def return_datagrams(sock):
    sock.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
    with contextlib.suppress(PermissionError):  # in a user namespace
        sock.setsockopt(socket.SOL_SOCKET, traffic.SO_RCVBUFFORCE, 1 << 24)
    while True:
        data, facts, _, sender = sock.recvmsg(1 << 17, socket.CMSG_SPACE(4))
        train = [(socket.SOL_UDP, traffic.UDP_SEGMENT, fact[:2]) for _, kind, fact in facts if kind == UDP_GRO]
        with contextlib.suppress(OSError):  # no way back just now
            sock.sendmsg([data], train, 0, sender)


def serve(ns):
    for kind, work in (socket.SOCK_STREAM, return_streams), (socket.SOCK_DGRAM, return_datagrams):
        threading.Thread(target=work, args=(listen(ns, kind),), daemon=True).start()


#
# Who checks
#

def connected(ns, address):
    """The server may not listen yet."""
    end = time.monotonic() + traffic.TIMEOUT
    while True:
        sock = make_socket(ns, traffic.family_of(address), socket.SOCK_STREAM)
        sock.settimeout(traffic.TIMEOUT)
        try:
            sock.connect((address, PORT))
            return sock
        except ConnectionRefusedError:
            sock.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Stream:
    """A connection until `size` bytes are sent, or `enough()`."""

    def __init__(self, ns, address, size=0, enough=None):
        self.size, self.enough = size, enough or (lambda: self.sent >= size)
        self.sent = self.received = 0
        self.there, self.back = hashlib.sha256(), hashlib.sha256()
        self.sock = connected(ns, address)
        self.flows = [traffic.Flow(self.send), traffic.Flow(self.receive)]

    def send(self):
        block = random.Random(1).randbytes(1 << 17)
        while not self.enough():
            piece = block[:self.size - self.sent] if self.size else block
            self.there.update(piece)
            self.sock.sendall(piece)
            self.sent += len(piece)
            block = block[1:] + block[:1]  # no two blocks are the same
        self.sock.shutdown(socket.SHUT_WR)

    def receive(self):
        while data := self.sock.recv(1 << 18):
            self.back.update(data)
            self.received += len(data)

    def check(self):
        for flow in self.flows:
            flow.result()
        self.queue = self.sock.getsockopt(socket.SOL_SOCKET, SO_INCOMING_NAPI_ID)
        self.sock.close()
        assert self.there.digest() == self.back.digest(), 'tcp: the content has changed'
        assert self.sent, 'tcp: nothing was sent'
        return f'tcp: {self.sent} bytes there and back'


def tcp(args):
    enough = (lambda: os.path.exists(args.until)) if args.until else None
    streams = [Stream(args.ns, args.address, 0 if args.until else args.bytes, enough) for _ in range(args.flows)]
    for stream in streams:
        print(stream.check())
    if args.flows > 1:
        print(f'came through {len({stream.queue for stream in streams})} queues')


def udp(args):
    args.flows = 1
    receiver = traffic.Receiver(args.ns, traffic.family_of(args.address), {args.gso or args.size})
    if args.gso:
        receiver.sock.setsockopt(socket.SOL_UDP, traffic.UDP_SEGMENT, args.gso)
    thread = traffic.Flow(receiver.run)
    sent = 0
    for buffer, n in traffic.udp_buffers(args, 0):
        receiver.sock.sendto(buffer, (args.address, PORT))
        sent += n
        if not traffic.wait_for_window(args, receiver, sent):
            break
    end = time.monotonic()
    while len(receiver.seen) < sent and time.monotonic() - max(end, receiver.at) < 2:
        time.sleep(0.005)
    receiver.stopping = True
    thread.result()
    r, lost = receiver, sent - len(receiver.seen)
    print(f'udp: sent={sent} lost={lost} duplicate={r.duplicate} corrupt={r.corrupt} reordered={r.reordered}')
    return bool(sent < args.count or lost or r.corrupt or r.duplicate)


def serve_for_ever(args):
    serve(args.ns)
    print('ready', flush=True)
    threading.Event().wait()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('what', choices=['serve', 'tcp', 'udp'])
    parser.add_argument('ns')
    parser.add_argument('address', nargs='?')
    parser.add_argument('--bytes', type=int, default=4000000)
    parser.add_argument('--until')
    for name, default in ('count', 1000), ('size', 1000), ('gso', 0), ('window', 64), ('flows', 1):
        parser.add_argument('--' + name, type=int, default=default)
    args = parser.parse_args()
    return {'serve': serve_for_ever, 'tcp': tcp, 'udp': udp}[args.what](args)


if __name__ == '__main__':
    sys.exit(main())
