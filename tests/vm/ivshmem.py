#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Beside QEMU, on this machine: an ivshmem server for one peer, on the socket FOLDER/ivshmem.

usage: ivshmem.py FOLDER
QEMU's docs/specs/ivshmem-spec.txt, "Client-Server protocol": messages are little-endian i64. The peer gets the protocol's
version, its own id, -1 with the shared memory, then its own id with an eventfd for each of its vectors.
"""
import os
import socket
import struct
import sys
import time

VERSION, ID, VECTORS, SIZE = 0, 3, 4, 1 << 20


def send(peer, number, *fds):
    socket.send_fds(peer, [struct.pack('<q', number)], fds)


def main():
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.join(sys.argv[1], 'ivshmem'))
    server.listen()
    print('ready', flush=True)
    peer, _ = server.accept()
    memory = os.memfd_create('ivshmem')
    os.ftruncate(memory, SIZE)
    send(peer, VERSION)
    send(peer, ID)
    send(peer, -1, memory)
    for _ in range(VECTORS):
        send(peer, ID, os.eventfd(0, os.EFD_NONBLOCK))
    while True:
        time.sleep(1000)


main()
