#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Beside QEMU, on this machine: its guest moves to another QEMU, whose NICs are other sluice processes.

usage: net_migrate.py FOLDER SLUICE
As net_serve.py, but that the TAPs in `far` are ports of two bridges, br0 (split) and br1 (packed), each with one for before
the move and one for after it. What the guest can say besides:

    %% host migrate    there is another QEMU, and the guest is in it when this is answered
    %% host announced  each NIC by RARP, at its bridge
    %% host learnt     the bridges have, at which ports the NICs are now
"""
import json
import mmap
import os
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../netns'))

import net_serve  # noqa: E402
import netns  # noqa: E402
import outages  # noqa: E402

ETH_P_RARP = 0x8035
PAGE, CHUNK = 1 << 12, 1 << 20
NICS = {'br0': ('52:54:00:00:00:01', 'split2'), 'br1': ('52:54:00:00:01:01', 'packed2')}  # and where they are then


def ports(n, name, more=''):
    return [f'vhost-user:path=$dir/{name}.sock,mode=connect{more}', f'tap:name={name},netns=far,queues={n}']


LINKS = {'split': ports(1, 'split'), 'packed': ports(2, 'packed', ',queues=2'),
         'split2': ports(1, 'split2'), 'packed2': ports(2, 'packed2', ',queues=2')}


class Monitor:
    """QEMU's. Who listens there is QEMU itself, which has its guest's memory open."""

    def __init__(self, path):
        end = time.monotonic() + 30
        while True:
            self.sock = socket.socket(socket.AF_UNIX)
            try:
                self.sock.connect(path)
                break
            except OSError:
                assert time.monotonic() < end, f'nobody is at {path}'
                time.sleep(0.05)
        self.pid, _, _ = struct.unpack('3i', self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        with open(f'/proc/{self.pid}/cmdline') as arguments:
            self.command = arguments.read().split('\0')[:-1]
        self.file = self.sock.makefile('rw')
        self.file.readline()  # the greeting
        self.ask('qmp_capabilities')

    def memory(self):
        descriptors = [f'/proc/{self.pid}/fd/{fd}' for fd in os.listdir(f'/proc/{self.pid}/fd')]
        with open(next(fd for fd in descriptors if 'memory-backend-memfd' in os.readlink(fd)), 'rb') as file:
            return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def ask(self, command, **arguments):
        json.dump({'execute': command, 'arguments': arguments}, self.file)
        self.file.flush()
        for line in self.file:
            answer = json.loads(line)
            assert 'error' not in answer, f'{command}: {answer}'
            if 'return' in answer:
                return answer['return']
        return None


def differences(a, b):
    """Pages of two memories."""
    pages = []
    for at in range(0, len(a), CHUNK):
        if a[at:at + CHUNK] != b[at:at + CHUNK]:
            pages += [page for page in range(at, at + CHUNK, PAGE) if a[page:page + PAGE] != b[page:page + PAGE]]
    return pages


class Host(net_serve.Host):
    def __init__(self, folder, sluice):
        for n in 0, 1:
            for command in (f'link add br{n} type bridge', f'addr add 10.9.{n}.2/24 dev br{n}', f'link set br{n} up'):
                net_serve.run('ip', '-n', 'far', *command.split())
        super().__init__(folder, sluice, {name: LINKS[name] for name in ('split', 'packed')})
        self.rarps = set()
        threading.Thread(target=self.hear, args=(netns.make_socket('far', socket.AF_PACKET, socket.SOCK_RAW,
                                                                  socket.htons(ETH_P_RARP)),), daemon=True).start()

    def hear(self, sock):
        while True:
            frame, (interface, *_) = sock.recvfrom(2048)
            if len(frame) >= 60 and frame[6:12] == frame[22:28] == frame[32:38] and frame[14:22].hex() == '0001080006040003':
                self.rarps.add((interface, frame[6:12].hex(':')))

    def link(self, name, *ports):
        super().link(name, *(ports or LINKS[name]))
        for command in f'link set {name} master br{int("packed" in name)}', f'link set {name} up':
            net_serve.run('ip', '-n', 'far', *command.split())

    def start_target(self, source):
        """The same, but for where it listens, and that it goes on with the files of the other."""
        command, n = [], 0
        for word in source.command:
            if command and command[-1] == '-serial' and word.startswith('file:'):
                command[-1:] = ['-chardev', f'file,id=s{n},path={word[5:]},append=on', '-serial']
                word, n = f'chardev:s{n}', n + 1
            for name in 'split.sock', 'packed.sock', 'answers', 'qmp':
                base, dot, kind = name.partition('.')
                word = word.replace(f'{self.folder}/{name}', f'{self.folder}/{base}2{dot}{kind}')
            command.append(word)
        self.target = outages.Program(f'{self.folder}/qemu2', [*command, '-S', '-incoming', f'unix:{self.folder}/move'])
        threading.Thread(target=self.end_source, args=(source,), daemon=True).start()
        return Monitor(f'{self.folder}/qmp2')

    def end_source(self, source):
        """run.sh waits for it."""
        self.target.process.wait()
        source.ask('quit')

    def migrate(self):
        source = Monitor(f'{self.folder}/qmp')
        for name in 'split2', 'packed2':
            self.link(name)
        target = self.start_target(source)
        source.ask('migrate', uri=f'unix:{self.folder}/move')
        end = time.monotonic() + 60
        while (how := source.ask('query-migrate'))['status'] in ('setup', 'active', 'device'):
            assert time.monotonic() < end, f'it does not come to an end: {how}'
            time.sleep(0.05)
        assert how['status'] == 'completed', f'{how} {self.target.said()}'
        while (now := target.ask('query-status')['status']) == 'inmigrate':
            assert time.monotonic() < end, f'it does not arrive: {now}'
            time.sleep(0.02)
        wrong = differences(source.memory(), target.memory())
        target.ask('cont')
        self.answers.close()
        self.answers = socket.socket(socket.AF_UNIX)
        self.answers.connect(f'{self.folder}/answers2')
        assert not wrong, f'{len(wrong)} pages are not the same: {[hex(page) for page in wrong[:10]]}'
        return (f'in {how["total-time"]} ms, of which it stood {how["downtime"]} ms; '
                f'{how["ram"]["dirty-sync-count"]} rounds')

    def announced(self):
        want = {(bridge, mac) for bridge, (mac, _) in NICS.items()}
        end = time.monotonic() + 10
        while want != self.rarps:
            assert time.monotonic() < end, f'RARPs were: {self.rarps}'
            time.sleep(0.05)

    def learnt(self):
        table = net_serve.run('bridge', '-n', 'far', 'fdb', 'show')
        for mac, port in NICS.values():
            assert f'{mac} dev {port} ' in table, table


if __name__ == '__main__':
    net_serve.main(Host)
