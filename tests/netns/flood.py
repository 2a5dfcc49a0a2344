#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""More UDP than anything can carry, from one network namespace to another, and what came of it.

usage: flood.py FROM TO ADDRESS [--size N] [--seconds S]

Datagrams with N bytes of payload, as fast as sendmmsg(2) takes them. Prints how many were sent and
received, and how many the receiving socket itself missed: its buffer was full.

A socket tells of what it has lost with the packet after that (SO_RXQ_OVFL), and a tunnel's is no other.
So a last datagram follows when all is quiet, and must arrive.
"""
import argparse
import ctypes
import socket
import struct
import threading
import time

import netns

BATCH = 64
QUIET = 0.5    # seconds without a datagram: what was on its way has arrived or is lost
PATIENCE = 20  # seconds for the last datagram
SO_RCVBUFFORCE = 33
SO_MEMINFO, MEMINFO = 55, struct.Struct('9I')  # <linux/sock_diag.h>: the last is SK_MEMINFO_DROPS
MSG_DONTWAIT = 0x40


class Iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]


class Header(ctypes.Structure):  # struct msghdr
    _fields_ = [('name', ctypes.c_void_p), ('namelen', ctypes.c_uint), ('iov', ctypes.POINTER(Iovec)),
                ('iovlen', ctypes.c_size_t), ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t),
                ('flags', ctypes.c_int)]


class Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = [('header', Header), ('len', ctypes.c_uint)]


class Batch:
    """BATCH messages that share one buffer: nobody looks at what is in them."""

    def __init__(self, size):
        self.buffer = ctypes.create_string_buffer(size)
        self.iov = Iovec(ctypes.cast(self.buffer, ctypes.c_void_p), size)
        header = Header(iov=ctypes.pointer(self.iov), iovlen=1)
        self.messages = (Message * BATCH)(*[Message(header) for _ in range(BATCH)])

    def send(self, sock, n=BATCH):
        return max(netns.libc.sendmmsg(sock.fileno(), self.messages, n, 0), 0)

    def receive(self, sock):
        return max(netns.libc.recvmmsg(sock.fileno(), self.messages, BATCH, MSG_DONTWAIT, None), 0)


class Receiver(threading.Thread):
    def __init__(self, sock, size):
        super().__init__(daemon=True)
        self.sock, self.batch = sock, Batch(size)
        self.received, self.at, self.stopping = 0, time.monotonic(), False

    def run(self):
        while not self.stopping:
            if n := self.batch.receive(self.sock):
                self.received += n
                self.at = time.monotonic()
            if n < BATCH:  # to be woken for each datagram would leave no time for the tunnel
                time.sleep(0.001)

    def quiet(self, since):
        return time.monotonic() - max(since, self.at) > QUIET


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in 'source', 'to', 'address':
        parser.add_argument(name)
    parser.add_argument('--size', type=int, default=1400)
    parser.add_argument('--seconds', type=float, default=5)
    args = parser.parse_args()
    into = netns.make_socket(args.to, socket.AF_INET, socket.SOCK_DGRAM)
    into.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    into.bind((args.address, 0))
    out = netns.make_socket(args.source, socket.AF_INET, socket.SOCK_DGRAM)
    out.connect(into.getsockname())
    receiver, batch, sent = Receiver(into, args.size), Batch(args.size), 0
    receiver.start()
    end = time.monotonic() + args.seconds
    while time.monotonic() < end:
        sent += batch.send(out)
    while not receiver.quiet(end):
        time.sleep(0.05)
    before, end = receiver.received, time.monotonic() + PATIENCE
    sent += batch.send(out, 1)
    while receiver.received == before and time.monotonic() < end:
        time.sleep(0.05)
    assert receiver.received == before + 1, f'after a flood one datagram became {receiver.received - before}'
    receiver.stopping = True
    receiver.join()
    missed = MEMINFO.unpack(into.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[-1]
    print(f'sent={sent} received={receiver.received} missed={missed}')


if __name__ == '__main__':
    main()
