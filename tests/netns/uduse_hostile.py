#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Drivers and daemons of uduse that do not keep to it.

usage: uduse_hostile.py drivers|daemons SOCKET...

As a driver it listens at each SOCKET at once, as a daemon it connects to one. Each of them is let go in the end, whatever it did.
"""
import array
import os
import random
import socket
import struct
import sys
import time

import traffic

CALL, RETURN, REQUEST, RESPONSE = 1, 2, 3, 4
SET_STATUS, UPDATE_IOTLB = 1, 2
REQUEST_LEN = 152


def ioctl(direction, number, size):
    return direction << 30 | size << 16 | 0x81 << 8 | number


SET_API = ioctl(1, 1, 8)
CREATE_DEV = ioctl(1, 2, 336)
DESTROY_DEV = ioctl(1, 3, 256)
GET_FD = ioctl(3, 0x10, 32)
GET_FEATURES = ioctl(2, 0x11, 8)
SET_CONFIG = ioctl(1, 0x12, 8)
CONFIG_IRQ = ioctl(0, 0x13, 0)
VQ_SETUP = ioctl(1, 0x14, 32)
VQ_GET_INFO = ioctl(3, 0x15, 48)
VQ_KICKFD = ioctl(1, 0x16, 8)
VQ_INJECT_IRQ = ioctl(1, 0x17, 4)


def message(kind, command=0, payload=b'', result=0, size=None):
    return struct.pack('<IIiI', kind, command, result, len(payload) if size is None else size) + payload


def send(s, data, fds=()):
    s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else [])


def receive(s):
    """The next message; None at the end."""
    data, ancillary, _, _ = s.recvmsg(8192, socket.CMSG_SPACE(64))
    for level, kind, fds in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            for fd in array.array('i', fds[:len(fds) // 4 * 4]):
                os.close(fd)
    return data or None


def is_let_go(s, seconds=5):
    """Reads until the other end hangs up."""
    s.settimeout(seconds)
    try:
        while receive(s):
            pass
    except ConnectionError:
        pass
    except socket.timeout:
        return False
    return True


def request(number, kind, body=b''):
    return message(REQUEST, payload=struct.pack('<II16x', kind, number) + body.ljust(REQUEST_LEN - 24, b'\0'))


def memory(size):
    fd = os.memfd_create('driver')
    os.ftruncate(fd, size)
    return fd


#
# Drivers.
#

class Driver:
    """An honest one, whose answer() is there to be overridden."""

    def __init__(self, s, lie=None):
        self.s, self.lie, self.seen = s, lie, 0
        s.settimeout(3)

    def answer(self, command, payload):
        if command == GET_FD:
            return -22, b'', []
        if command == GET_FEATURES:
            return 0, struct.pack('<Q', 1 << 32 | 1 << 33), []
        if command == VQ_GET_INFO:
            return 0, payload[:4].ljust(48, b'\0'), []
        return 0, b'', []

    def run(self):
        """Until the other end has nothing more to say; False when it has hung up."""
        try:
            while data := receive(self.s):
                kind, command, _, _ = struct.unpack('<IIiI', data[:16])
                self.seen += 1
                if kind != CALL or command == VQ_INJECT_IRQ:
                    continue
                result, payload, fds = self.answer(command, data[16:])
                reply = message(RETURN, command, payload, result)
                if self.lie:
                    self.lie(self, command, reply, fds)
                else:
                    send(self.s, reply, fds)
        except socket.timeout:
            return True
        except (ConnectionError, BrokenPipeError):
            pass
        return False


def lie_at(n, what):
    """A driver that is honest until message @n."""
    def lie(driver, command, reply, fds):
        if driver.seen == n:
            what(driver.s, command, reply)
        else:
            send(driver.s, reply, fds)
    return lie


def random_bytes(s, _command, _reply):
    send(s, os.urandom(random.randrange(1, 5000)))


def much_too_long(s, _command, reply):
    send(s, reply + b'x' * 60000)


def header_only(s, _command, reply):
    send(s, reply[:random.randrange(1, 16)])


def wrong_size(s, command, _reply):
    send(s, message(RETURN, command, b'x' * 8, size=0xffffffff))


def wrong_command(s, command, _reply):
    send(s, message(RETURN, command ^ 0x100, b''))


def wrong_type(s, command, reply):
    send(s, struct.pack('<I', 77) + reply[4:])


def many_descriptors(s, _command, reply):
    fds = [memory(4096) for _ in range(20)]
    send(s, reply, fds)
    for fd in fds:
        os.close(fd)


def two_requests(s, _command, _reply):
    send(s, request(1, SET_STATUS))
    send(s, request(2, SET_STATUS))


def silence(s, _command, _reply):
    pass


def drivers(*paths):
    """Each lies at the first message, the second or the third; whom it has lied to waits for up to a second before the next."""
    for flow in [traffic.Flow(lying_drivers, path, 1 + i % 3) for i, path in enumerate(paths)]:
        flow.result()


def lying_drivers(path, n):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(4)
    listener.settimeout(10)
    ways = [random_bytes, much_too_long, header_only, wrong_size, wrong_command, wrong_type, many_descriptors, two_requests]
    for what in ways if n > 1 else ways + [silence]:
        s, _ = listener.accept()
        with s:
            assert not Driver(s, lie_at(n, what)).run() or is_let_go(s), f'{what.__name__}, message {n}: not let go'
    # Memory that is none: asked for, refused, and the connection stands.
    s, _ = listener.accept()
    with s:
        driver = Driver(s)
        s.settimeout(0.2)
        assert driver.run()
        for status in (0, 1, 3, 11, 15):
            send(s, request(status + 1, SET_STATUS, bytes([status])))
            assert driver.run()
        for _ in range(200):
            send(s, request(99, 5000))
        assert driver.run()
    listener.close()
    os.unlink(path)


#
# Daemons.
#

def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(path)
    s.settimeout(3)
    return s


def call(s, command, payload=b'', fds=()):
    """What it returned; requests that come meanwhile are left unanswered."""
    send(s, message(CALL, command, payload), fds)
    while data := receive(s):
        kind, answered, result, _ = struct.unpack('<IIiI', data[:16])
        if kind == RETURN:
            assert answered == command, hex(answered)
            return result
    raise ConnectionResetError


def create(name, features=1 << 32 | 1 << 33, queues=1, config=60):
    return name.ljust(256, b'\0') + struct.pack('<IIQII52xI', 0, 2, features, queues, 4096, config) + b'\0' * config


def daemons(path):
    nonsense = [b'x', b'\0' * 16, os.urandom(100), b'x' * 60000, message(RETURN, SET_API), message(REQUEST, 0, b'\0' * REQUEST_LEN),
                message(CALL, SET_API, b'x'), message(CALL, SET_API, b'x' * 8, size=4000), message(CALL, 0xffffffff),
                message(RESPONSE, 0, b'x' * 3), message(CALL, VQ_KICKFD, struct.pack('<Ii', 0, 5)),
                message(CALL, CREATE_DEV, b'\0' * 336, size=336 + 4096)]
    for data in nonsense:
        with connect(path) as s:
            send(s, data)
            assert is_let_go(s), f'not let go: {data[:32]!r}'
    with connect(path) as s:  # what cannot be is refused, as the kernel does
        for command, payload in ((VQ_SETUP, b'\0' * 32), (GET_FEATURES, b''), (VQ_GET_INFO, b'\xff' * 48), (GET_FD, b'\xff' * 32),
                                 (CREATE_DEV, create(b'')), (CREATE_DEV, create(b'd', features=1 << 32)),
                                 (CREATE_DEV, create(b'd', queues=4000000000)), (DESTROY_DEV, b'other'.ljust(256, b'\0'))):
            assert call(s, command, payload) < 0, hex(command)
    for _ in range(100):
        with connect(path) as s:
            try:
                for _ in range(random.randrange(6)):
                    body = os.urandom(random.choice((0, 4, 8, 32, 48, 152, 256)))
                    send(s, message(random.randrange(6), random.choice((0, SET_API, GET_FD, VQ_SETUP, VQ_KICKFD, DESTROY_DEV)), body))
            except OSError:
                pass
    # One that makes the device, and then does not know its answers; and goes, so that there is none any more.
    for answers in (b'', b'x' * REQUEST_LEN, b'\0' * REQUEST_LEN):
        with connect(path) as s:
            assert call(s, SET_API, b'\0' * 8) == 0
            for _ in range(50):
                send(s, message(RESPONSE, 0, answers or b'\xff' * REQUEST_LEN))
            try:
                call(s, CONFIG_IRQ)
            except ConnectionError:
                pass
    # Those who connect and say nothing make nobody wait for ever.
    idle = connect(path)
    time.sleep(0.2)
    idle.close()


if __name__ == '__main__':
    random.seed(1)
    {'drivers': drivers, 'daemons': daemons}[sys.argv[1]](*sys.argv[2:])
