#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Beside QEMU, on this machine: hands on what a test in the guest asks of it (qmp in guest.sh).

usage: qmp.py FOLDER
FOLDER/said is what the guest says: lines of "%% qmp JSON" are for the monitor, whose socket is FOLDER/qmp.
"""
import json
import os
import socket
import sys
import time


def connect(path):
    while True:  # run.sh ends us if QEMU does not come
        monitor = socket.socket(socket.AF_UNIX)
        try:
            monitor.connect(path)
            return monitor.makefile('rw')
        except OSError:
            monitor.close()
            time.sleep(0.05)


def ask(monitor, question):
    """Prints the answer; events between are passed over."""
    monitor.write(question + '\n')
    monitor.flush()
    for line in monitor:
        answer = json.loads(line)
        if 'return' in answer or 'error' in answer:
            print(question, '->', line.strip(), flush=True)
            return


def questions(path):
    with open(path, 'rb') as said:
        rest = b''
        while True:
            rest += said.read()
            *lines, rest = rest.split(b'\n')
            for line in lines:
                if line.startswith(b'%% qmp '):
                    yield line[7:].decode().strip()
            time.sleep(0.05)


def main():
    folder = sys.argv[1]
    print('ready', flush=True)
    monitor = connect(os.path.join(folder, 'qmp'))
    monitor.readline()  # the greeting
    ask(monitor, '{"execute": "qmp_capabilities"}')
    for question in questions(os.path.join(folder, 'said')):
        ask(monitor, question)


main()
