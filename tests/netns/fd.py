#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A parent with rights: opens an interface as descriptor 9 and runs a program that has it, and no rights.

usage: fd.py FLAGS NS IF COMMAND...   FLAGS: some of tap, tun, vnet, pi, blocking, root, joined by commas;
                                      with root the program keeps its rights
"""
import fcntl
import os
import struct
import sys

import netns

TUNSETIFF = 0x400454ca
BITS = {'tun': 1, 'tap': 2, 'vnet': 0x4000}
NO_PI = 0x1000
NOBODY = 65534

flags, ns, name = sys.argv[1].split(','), *sys.argv[2:4]
with netns.inside(ns):
    fd = os.open('/dev/net/tun', os.O_RDWR | (0 if 'blocking' in flags else os.O_NONBLOCK))
bits = sum(BITS.get(flag, 0) for flag in flags) | (0 if 'pi' in flags else NO_PI)
fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), bits))
os.dup2(fd, 9)  # inherited, unlike fd
if 'root' not in flags:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
os.execvp(sys.argv[4], sys.argv[4:])
