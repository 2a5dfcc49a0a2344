#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Beside QEMU, on this machine: the devices that its guest drives over vhost-user, and what the test in the guest asks for.

usage: serve.py FOLDER SLUICE [RNG]
Two disks, FOLDER/split.sock and FOLDER/packed.sock, each a file of the same name; the latter has two queues. With RNG, the
example, entropy at FOLDER/rng.sock. FOLDER/said is what the guest says:

    %% host kill DISK           kill -9, and start again
    %% host term DISK           SIGTERM, which must end well, and start again
    %% host resize DISK BYTES   give the file another size

A disk's serial is its name and how often it was started, by which the guest knows that it has been done.
"""
import ctypes
import os
import signal
import subprocess
import sys
import time

SIZE = 256 << 20
QUEUES = {'split': 1, 'packed': 2}


def die_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: run.sh kills us


def start(folder, name, command):
    with open(os.path.join(folder, name + '.log'), 'ab') as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_us)
    return process


class Disk:
    def __init__(self, folder, sluice, name):
        self.folder, self.sluice, self.name, self.runs = folder, sluice, name, 0
        self.path = os.path.join(folder, name + '.img')
        with open(self.path, 'wb') as image:
            image.truncate(SIZE)
        self.start()

    def start(self):
        model = f'blk,file={self.path},queues={QUEUES[self.name]},serial={self.name}-{self.runs}'
        via = f'vhost-user:path={self.folder}/{self.name}.sock'
        self.process = start(self.folder, self.name, [self.sluice, 'serve', '-v', '--stats', '0', model, '--via', via])
        self.runs += 1

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.start()

    def term(self):
        self.process.terminate()
        if self.process.wait(20) != 0 or os.path.exists(f'{self.folder}/{self.name}.sock'):
            sys.exit(f'{self.name} ended with {self.process.returncode}, or its socket is still there')
        self.start()

    def resize(self, size):
        os.truncate(self.path, int(size))


def wait_for(path):
    for _ in range(400):
        if os.path.exists(path):
            return
        time.sleep(0.05)
    sys.exit(f'{path} does not come')


def requests(path):
    """What the guest asks for, for ever: run.sh ends us."""
    rest = b''
    while not os.path.exists(path):
        time.sleep(0.05)
    with open(path, 'rb') as said:
        while True:
            rest += said.read()
            *lines, rest = rest.split(b'\n')
            for line in lines:
                if line.startswith(b'%% host '):
                    yield line.decode().split()[2:]
            time.sleep(0.02)


def main():
    folder, sluice, *rng = sys.argv[1:]
    disks = {name: Disk(folder, sluice, name) for name in QUEUES}
    sockets = [f'{folder}/{name}.sock' for name in disks]
    if rng:
        sockets.append(f'{folder}/rng.sock')
        entropy = start(folder, 'rng', [rng[0], f'vhost-user:path={sockets[-1]}'])
    for path in sockets:
        wait_for(path)
    print('ready', flush=True)
    for what, disk, *arguments in requests(os.path.join(folder, 'said')):
        print(what, disk, *arguments, flush=True)
        getattr(disks[disk], what)(*arguments)


main()
