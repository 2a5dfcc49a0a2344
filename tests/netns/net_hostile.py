#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Drivers of a NIC that hold packets up, and more: usage: net_hostile.py SLUICE FOLDER

A front end of vhost-user with split rings in a memfd, and links of SLUICE that it drives."""
import array
import fcntl
import os
import socket
import struct
import subprocess
import sys
import time
import ctypes
import mmap

GET_FEATURES, SET_FEATURES, SET_MEM_TABLE, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE = 1, 2, 5, 8, 9, 10
GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, GET_PROTOCOL, SET_PROTOCOL, SET_VRING_ENABLE = 11, 12, 13, 15, 16, 18
VERSION, NEED_REPLY = 1, 8
FEATURES = 1 << 32 | 1 << 30 | 1 << 28 | 1 << 15  # VERSION_1, PROTOCOL_FEATURES, INDIRECT_DESC, MRG_RXBUF
SIZE, MEMORY, GUEST, USER, BUFFERS = 256, 4 << 20, 0x100000, 0x7f0000000000, 0x200000


class Driver:
    """One pair: receiveq 0, transmitq 1; the areas of ring q begin at q * 64 KiB."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        for _ in range(100):
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        self.fd = os.memfd_create('driver')
        os.ftruncate(self.fd, MEMORY)
        self.memory = mmap.mmap(self.fd, MEMORY)
        self.kick, self.call, self.avail = [None] * 2, [None] * 2, [0] * 2

    def send(self, request, payload=b'', fds=(), flags=0):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        self.socket.sendmsg([struct.pack('<III', request, VERSION | flags, len(payload)) + payload], rights)

    def answer(self):
        size = struct.unpack('<III', self.socket.recv(12, socket.MSG_WAITALL))[2]
        return self.socket.recv(size, socket.MSG_WAITALL)

    def ask(self, request, payload=b''):
        self.send(request, payload)
        return self.answer()

    def tell(self, request, payload, fds=()):
        self.send(request, payload, fds, NEED_REPLY)
        assert struct.unpack('<Q', self.answer())[0] == 0, request

    def enable(self, queue, on):
        self.tell(SET_VRING_ENABLE, struct.pack('<II', queue, on))

    def up(self):
        self.ask(GET_FEATURES)
        offered = struct.unpack('<Q', self.ask(GET_PROTOCOL))[0]
        self.send(SET_PROTOCOL, struct.pack('<Q', offered & 1 << 3))  # REPLY_ACK
        self.send(SET_FEATURES, struct.pack('<Q', FEATURES))
        self.tell(SET_MEM_TABLE, struct.pack('<IIQQQQ', 1, 0, GUEST, MEMORY, USER, 0), [self.fd])
        for queue in range(2):
            at = USER + (queue << 16)
            self.tell(SET_VRING_NUM, struct.pack('<II', queue, SIZE))
            self.tell(SET_VRING_BASE, struct.pack('<II', queue, 0))
            self.tell(SET_VRING_ADDR, struct.pack('<IIQQQQ', queue, 0, at, at + 0x8000, at + 0x4000, 0))
            self.kick[queue], self.call[queue] = os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK)
            self.tell(SET_VRING_CALL, struct.pack('<Q', queue), [self.call[queue]])
            self.tell(SET_VRING_KICK, struct.pack('<Q', queue), [self.kick[queue]])
            self.enable(queue, 1)

    def put(self, queue, address, length, flags=0):
        """A buffer of one descriptor; avail idx is stored at once, and last."""
        base, n = queue << 16, self.avail[queue]
        struct.pack_into('<QIHH', self.memory, base + 16 * n, address, length, flags, 0)
        struct.pack_into('<H', self.memory, base + 0x4004 + 2 * n, n)
        self.avail[queue] = n + 1
        ctypes.c_uint16.from_buffer(self.memory, base + 0x4002).value = n + 1
        os.eventfd_write(self.kick[queue], 1)

    def packet(self):
        at = BUFFERS + 2048 * self.avail[1]
        self.memory[at + 12:at + 26] = b'\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\x00'
        self.put(1, GUEST + at, 12 + 64)

    def used(self, queue):
        return struct.unpack_from('<H', self.memory, (queue << 16) + 0x8002)[0]

    def base(self, queue):
        return struct.unpack('<II', self.ask(GET_VRING_BASE, struct.pack('<II', queue, 0)))[1]


def wait_for(what, condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, f'waited in vain for {what}'
        time.sleep(0.01)


def link(*args):
    return subprocess.Popen([sys.argv[1], 'link', '--stats', '0', *args], stdout=subprocess.DEVNULL)


def end(process):
    process.terminate()
    assert process.wait(20) == 0


def held_up(folder, workers, how):
    """The other NIC gives no buffers, so packets are lent for ever. Queues stop all the same, and the next driver is served."""
    a, b = f'{folder}/a', f'{folder}/b'
    process = link('--workers', workers, f'vhost-user:path={a}', f'vhost-user:path={b}')
    there, driver = Driver(b), Driver(a)
    there.up()
    driver.up()
    for _ in range(8):
        driver.packet()
    time.sleep(0.2)
    assert driver.used(1) == 0, 'they are lent'
    if how == 'broken':
        driver.put(1, 0xdead0000000, 100)
    if how == 'disabled':
        driver.enable(0, 0)
        driver.enable(1, 0)
    time.sleep(0.2)
    assert driver.base(1) == 8
    assert driver.used(1) == 8 or how == 'broken'
    driver.socket.close()
    again = Driver(a)
    again.up()
    end(process)


def woken(folder, workers):
    """A packet waits for a receiveq that is off; buffers are there when it is enabled: no kick says so."""
    a = f'{folder}/a'
    process = link('--workers', workers, f'vhost-user:path={a}', f'vhost-user:path={folder}/b')
    driver, other = Driver(a), Driver(f'{folder}/b')
    driver.up()
    other.up()
    for n in range(20):
        driver.enable(0, 0)
        driver.put(0, GUEST + BUFFERS + 2048 * (100 + n), 2048, 2)
        other.packet()
        time.sleep(0.02)
        driver.enable(0, 1)
        wait_for('the packet', lambda: driver.used(0) == n + 1)
    end(process)


def full_event(folder):
    """An eventfd that was non-blocking when it was given, and is made blocking and full."""
    a = f'{folder}/a'
    process = link(f'vhost-user:path={a}', 'null:')
    driver = Driver(a)
    driver.up()
    call = driver.call[1]
    try:
        os.eventfd_read(call)
    except BlockingIOError:
        pass
    os.eventfd_write(call, 0xfffffffffffffffe)
    fcntl.fcntl(call, fcntl.F_SETFL, fcntl.fcntl(call, fcntl.F_GETFL) & ~os.O_NONBLOCK)
    driver.packet()
    wait_for('the buffer', lambda: driver.used(1) == 1)
    assert len(driver.ask(GET_FEATURES)) == 8
    end(process)


def main():
    folder = sys.argv[2]
    for workers in '1', '2':
        for how in 'stopped', 'broken', 'disabled':
            held_up(folder, workers, how)
        woken(folder, workers)
    full_event(folder)


main()
