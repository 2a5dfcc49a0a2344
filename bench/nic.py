#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A NIC driven from user space against AF_PACKET and AF_XDP on the kernel's driver, in one boot of a guest.

Called by nic.sh, which builds the programs.
"""
import argparse
import atexit
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from report import load, save, say, spread, table

HERE = pathlib.Path(__file__).parent
FD = 100  # of the socket that QEMU inherits, see nic_guest.sh
BATCH = 16  # frames that QEMU takes at once
ADDRESSES, NICS = {'rx': '0000:00:03.0', 'tx': '0000:00:04.0'}, {'rx': 'eth0', 'tx': 'eth1'}
MEASURES = [('rx', 64), ('rx', 1500), ('tx', 64), ('tx', 1500)]
CONTENDERS = {  # name -> driver, how sluice calls it; the latter None for a program of ours
    'AF_PACKET': ('e1000e', None),
    'AF_XDP': ('e1000e', None),
    'sluice vfio': ('vfio-pci', 'vfio'),
    'sluice uio': ('uio_pci_generic', 'uio'),
}
TRIED = [  # name, whose, what, in the guest before and after, words for the program, its processors
    ('as measured', None, ('rx', 'tx'), '', '', '', 1),
    ('on the processor that has no interrupts', None, ('rx', 'tx'), '', '', '', 2),
    ('rx-usecs 3, the default', 'e1000e', ('rx',), 'ethtool -C eth0 rx-usecs 3', 'ethtool -C eth0 rx-usecs 0', '', 1),
    ('rx-usecs 20', 'e1000e', ('rx',), 'ethtool -C eth0 rx-usecs 20', 'ethtool -C eth0 rx-usecs 0', '', 1),
    ('GRO on, the default', 'e1000e', ('rx',), 'ethtool -K eth0 gro on', 'ethtool -K eth0 gro off', '', 1),
    ('no poll(2)', 'e1000e', ('rx',), '', '', 'spin', 1),
    ('no poll(2), other processor', 'e1000e', ('rx',), '', '', 'spin', 2),
    ('with the qdisc', 'AF_PACKET', ('tx',), '', '', 'qdisc', 1),
    ('sendmmsg(2)', 'AF_PACKET', ('tx',), '', '', 'sendmmsg', 1),
    ('send(2) that blocks', 'AF_PACKET', ('tx',), '', '', 'wait', 1),
    ('--poll on', 'sluice', ('rx', 'tx'), '', '', '--poll on', 1),
    ('--poll off', 'sluice', ('rx', 'tx'), '', '', '--poll off', 1),
]


def frame(size):
    """UDP over IPv4 to nobody (RFC 2544, C.2.2) as QEMU wants it in a stream: behind its length."""
    head = bytes.fromhex('020000000002 020000000001 0800 4500') + (size - 14).to_bytes(2, 'big') + \
        bytes.fromhex('0000 4000 4011 0000 c6120001 c6130001 0400 0009') + (size - 34).to_bytes(2, 'big')
    return size.to_bytes(4, 'big') + head.ljust(size, b'\0')


class Wire(threading.Thread):
    """The other end of NIC 3. It gives frames as fast as QEMU takes them, and QEMU stops reading while the NIC has no
    free descriptors: nothing is lost, and the receiver sets the pace. Messages, not a stream, of which QEMU would
    read a thousand small frames at once and keep them."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ours, self.qemus = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.message, self.sent, self.got = b'', 0, 0
        self.change = threading.Condition()

    def feed(self, size):
        with self.change:
            self.message = frame(size) * BATCH if size else b''
            self.change.notify()

    def run(self):
        threading.Thread(target=self.count, daemon=True).start()
        while True:
            with self.change:
                self.change.wait_for(lambda: self.message)
                message = self.message
            try:
                self.ours.send(message)
            except OSError:
                return  # QEMU has ended; who waits for its answer says so
            self.sent += BATCH

    def count(self):
        """What the guest sends, a message a frame."""
        while self.ours.recv(2048):
            self.got += 1


class Guest:
    """Does what it is told: bench/nic_guest.sh, or another script that goes on as that one does."""

    def __init__(self, kernel, files, script='nic_guest.sh'):
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind('\0sluice-bench-nic')
        except OSError:
            sys.exit('another bench/nic.py is running')
        listener.listen(1)
        listener.settimeout(1)
        self.wire = Wire()
        self.process = subprocess.Popen(
            [HERE / '../tests/vm/run.sh', kernel, HERE / script, *files], stdout=subprocess.PIPE, text=True,
            close_fds=False, preexec_fn=lambda: os.dup2(self.wire.qemus.fileno(), FD))
        self.wire.qemus.close()
        atexit.register(self.process.terminate)
        self.control = None
        while not self.control:  # a kernel may have to be fetched first
            try:
                self.control = listener.accept()[0]
            except TimeoutError:
                if self.process.poll() is not None:
                    self.gone('did not start')
        self.control.settimeout(120)
        self.wire.start()
        self.answer()

    def gone(self, why):
        self.process.terminate()
        said = self.process.communicate()[0]
        if skip := re.search(r'# SKIP (.*)', said):
            print('SKIP:', skip[1])
            sys.exit(77)
        sys.exit(f'{said}\nthe guest: {why}')

    def answer(self):
        said = b''
        while not (end := re.search(rb'(?m)^%% (\d+)\r?\n', said)):
            try:
                part = self.control.recv(4096)
            except TimeoutError:
                part = b''
            if not part:
                self.gone('no answer any more')
            said += part
        return int(end[1]), said[:end.start()].decode().strip()

    def do(self, command):
        self.control.sendall(command.encode() + b'\n')
        status, said = self.answer()
        if status:
            raise RuntimeError(f'{command}: {said}, status {status}')
        return said

    def busy(self):
        """Seconds that processor 0 was not idle, and that have passed. Idle time is exact, the rest would be counted in
        ticks."""
        idle, up = self.do("awk '/^cpu0/ { print ($5 + $6) / 100 }' /proc/stat; cut -d ' ' -f 1 /proc/uptime").split()
        return float(up) - float(idle), float(up)

    def end(self):
        self.control.sendall(b'end\n')
        said = self.process.communicate()[0]
        if self.process.returncode:
            sys.exit(said)


class Bench:
    def __init__(self, kernel, programs, seconds, contenders=None, script='nic_guest.sh'):
        self.tools = {p.name: str(p.resolve()) for p in programs}
        self.contenders = contenders or CONTENDERS
        self.guest = Guest(kernel, self.tools.values(), script)
        self.wire, self.seconds, self.driver = self.guest.wire, seconds, 'e1000e'

    def bind(self, driver):
        if driver != self.driver:
            self.guest.do(f'driver {driver}')
            self.driver = driver

    def command(self, name, what, size, words=''):
        via = self.contenders[name][1]
        if not via:
            return f'{self.tools[name.lower()]} {what} {NICS[what]} {size} {self.seconds + 1.6} {words}'
        nic = f'pci:{ADDRESSES[what]},via={via}'
        ports = f'{nic},promisc=on null:' if what == 'rx' else f'gen:size={size} {nic}'
        return f'{self.tools["sluice"]} link --json --stats 0 --duration {self.seconds + 1.6} {words} {ports}'

    def start(self, command, processors=1):
        self.guest.do(f'taskset {processors} {command} >/run/out 2>&1 & program=$!')

    def report(self, what):
        """The last line of the program, which must end by itself."""
        said = self.guest.do('wait $program; cat /run/out')
        try:
            report = json.loads(said.splitlines()[-1])
        except (IndexError, ValueError):
            sys.exit(f'{what}: {said}')
        return report.get('directions', [report])[0]

    def run(self, name, what, size, words='', processors=1):
        """Packets a second; us of processor 0 for each; per cent that were lost."""
        fed = self.wire.sent
        self.start(self.command(name, what, size, words), processors)
        time.sleep(0.8)  # for a link to come up
        if what == 'rx':
            self.wire.feed(size)
            time.sleep(0.3)
        (busy, up), first, begin = self.guest.busy(), self.wire.sent, time.monotonic()
        time.sleep(self.seconds)
        rate = (self.wire.sent - first) / (time.monotonic() - begin)
        busy_end, up_end = self.guest.busy()
        self.wire.feed(0)
        report = self.report(f'{name}, {what} {size}')
        if what == 'tx':
            rate, lost = report['pps'], 0
        else:
            lost = 1 - report['packets'] / (self.wire.sent - fed)
            rate *= 1 - lost
        return {'pps': rate, 'cpu': (busy_end - busy) / (up_end - up) / rate * 1e6, 'lost': 100 * lost}

    def check(self, name):
        """sluice counts for itself: what it says that it has sent does come out of a NIC."""
        came = self.wire.got
        command = self.command(name, 'tx', 64).replace(ADDRESSES['tx'], ADDRESSES['rx'])
        self.start(command.replace('gen:', 'gen:rate=2k,'))
        report = self.report(f'{name}, check')
        time.sleep(0.2)
        came = self.wire.got - came
        if came != report['packets'] or not came:
            sys.exit(f'{name}: {report["packets"]} packets sent, {came} came')
        say(f'nic: {name}: {came} packets sent, all came')


def measure(bench, rounds):
    found = []
    for r in range(rounds):
        found.append({})
        for name in list(bench.contenders)[::-1 if r % 2 else 1]:  # those of one driver stay side by side
            say(f'nic: round {r + 1} of {rounds}, {name}')
            bench.bind(bench.contenders[name][0])
            found[-1][name] = {f'{what}_{size}': bench.run(name, what, size) for what, size in MEASURES}
    return found


def tried(bench, rounds):
    """Rows: name, what, setting, k packets a second."""
    rows = []
    for name in CONTENDERS:
        bench.bind(CONTENDERS[name][0])
        for text, whose, whats, before, after, words, processors in TRIED:
            if whose and whose not in (name, CONTENDERS[name][0], name.split()[0]):
                continue
            for what in whats:
                bench.guest.do(before or 'true')
                values = [bench.run(name, what, 64, words, processors)['pps'] / 1e3 for _ in range(rounds)]
                bench.guest.do(after or 'true')
                rows.append([name, what, text, spread(values)])
                say('nic: ' + ', '.join(rows[-1]))
    return rows


def tables(rounds, kernel, before):
    def values(name, key, what):
        return [r[name][key][what] for r in rounds]

    def ratio(name, key):
        return spread([r[name][key]['pps'] / r['AF_PACKET'][key]['pps'] for r in rounds])

    keys = [(f'{what}_{size}', f'{what.upper()}, {size} B') for what, size in MEASURES]
    return [
        f'### A NIC: sluice against AF_PACKET and AF_XDP, Linux {kernel}\n',
        f'Medians of {len(rounds)} rounds in turn (min..max); the ratio is of each round; load before: {before}.\n',
        table(['1000 packets a second', *CONTENDERS],
              [[text, *(spread([v / 1e3 for v in values(n, key, 'pps')]) for n in CONTENDERS)] for key, text in keys]),
        table(['times AF_PACKET', *list(CONTENDERS)[1:]],
              [[text, *(ratio(n, key) for n in list(CONTENDERS)[1:])] for key, text in keys]),
        table(['us of the guest\'s CPU a packet', *CONTENDERS],
              [[text, *(spread(values(n, key, 'cpu')) for n in CONTENDERS)] for key, text in keys]),
        table(['per cent lost', *CONTENDERS],
              [[text, *(spread(values(n, key, 'lost')) for n in CONTENDERS)] for key, text in keys[:2]]),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for program in ('sluice', 'af_packet', 'af_xdp'):
        parser.add_argument(program, type=pathlib.Path)
    parser.add_argument('--quick', action='store_true', help='one round')
    parser.add_argument('--kernel', default='6.12', help='of the guest')
    parser.add_argument('--tried', action='store_true', help='other settings of each, instead')
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    before, rounds = load(), 1 if args.quick else 3 if args.tried else 5
    bench = Bench(args.kernel, (args.sluice, args.af_packet, args.af_xdp), 1)
    release = bench.guest.do('uname -r')
    if args.tried:
        parts = [f'### Other settings, 64 B, Linux {release}\n',
                 f'1000 packets a second, medians of {rounds} (min..max); load before: {before}.\n',
                 table(['who', 'what', 'setting', '1000 packets a second'], tried(bench, rounds))]
        print('\n'.join(parts))
        bench.guest.end()
        return
    for name in ('sluice vfio', 'sluice uio'):
        bench.bind(CONTENDERS[name][0])
        bench.check(name)
    rounds = measure(bench, rounds)
    save('nic', tables(rounds, release, before), {'kernel': release, 'rounds': rounds})
    bench.guest.end()


if __name__ == '__main__':
    main()
