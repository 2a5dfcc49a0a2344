# SPDX-License-Identifier: BSD-2-Clause
"""Sockets in other network namespaces: a socket stays in the one it was made in."""
import contextlib
import ctypes
import os
import socket

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def setns(fd):
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), 'setns')


@contextlib.contextmanager
def inside(name):
    """In the namespace that `ip netns` calls name, this thread only."""
    with open('/proc/thread-self/ns/net') as back, open(f'/run/netns/{name}') as there:
        setns(there.fileno())
        try:
            yield
        finally:
            setns(back.fileno())


def make_socket(name, family, kind, proto=0):
    with inside(name):
        return socket.socket(family, kind, proto)
