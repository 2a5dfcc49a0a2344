#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""uio_msix against uio_pci_generic, in one boot of a guest without an IOMMU, and against vfio, in another boot with one.

Called by uio_msix.sh, which builds the programs.
"""
import argparse
import json
import pathlib
import re
import signal
import socket
import statistics
import sys
import time

from nic import MEASURES, Bench, measure
from report import load, save, say, spread, table

BOOTS = {  # name of the guest's script -> name, driver, how sluice calls it
    'uio_msix_guest.sh': {'uio_msix': ('uio_msix', 'uio_msix'), 'uio_pci_generic': ('uio_pci_generic', 'uio')},
    'uio_msix_iommu_guest.sh': {'vfio': ('vfio-pci', 'vfio')},
}
NAMES = ['uio_msix', 'uio_pci_generic', 'vfio']
DEVICES = {'e1000e': '0000:00:03.0', 'edu': '0000:00:05.0'}
INTERRUPTS = 1000  # of each round
HANDLERS = {  # who is called for an interrupt of e1000e, one after the other, as this kernel has them
    'uio_msix': ['um_msi'], 'vfio': ['vfio_msihandler'],
    'uio_pci_generic': ['uio_interrupt', 'uio_interrupt_handler', 'uio_interrupt_thread', 'aio_poll_complete_work'],
}


class Debugger:
    """QEMU's stub for gdb, by gdb's remote serial protocol: counts instructions one by one. While it steps, QEMU delivers no
    interrupt and no timer, and the other processor stands still (QEMU's docs/system/gdb.rst)."""

    def __init__(self):
        self.stub = socket.socket(socket.AF_UNIX)
        self.stub.settimeout(60)
        self.stub.connect('\0sluice-bench-gdb')  # the guest stands still from here on
        self.said = b''
        self.answer()  # why it stands still

    def ask(self, command):
        self.stub.sendall(b'$%s#%02x' % (command.encode(), sum(command.encode()) % 256))
        return self.answer()

    def answer(self):
        while not (packet := re.search(rb'\$([^#]*)#..', self.said)):
            part = self.stub.recv(65536)
            if not part:
                sys.exit('QEMU has gone')
            self.said += part
        self.said = self.said[packet.end():]
        self.stub.sendall(b'+')
        return packet[1].decode()

    def register(self, number):
        """Of x86-64: 7 is rsp, 16 is rip."""
        return int.from_bytes(bytes.fromhex(self.ask('g')[16 * number:16 * number + 16]), 'little')

    def run_to(self, address):
        """Returns the thread that came there, a processor."""
        self.ask(f'Z0,{address:x},1')
        stop = self.ask('c')
        self.ask(f'z0,{address:x},1')
        if not (thread := re.search('thread:([^;]+)', stop)):
            sys.exit(f'QEMU said {stop}')
        return thread[1]

    def handler(self, address, signal_address):
        """Instructions until eventfd_signal() has returned, None if it was not called; until the handler has returned."""
        thread = self.run_to(address)
        back = int.from_bytes(bytes.fromhex(self.ask(f'm{self.register(7):x},8')), 'little')
        steps, signalled, ends = 0, None, None
        while (rip := self.register(16)) != back:
            if rip == signal_address:
                ends = int.from_bytes(bytes.fromhex(self.ask(f'm{self.register(7):x},8')), 'little')
            elif rip == ends:
                signalled, ends = steps, None
            self.ask(f'vCont;s:{thread}')
            steps += 1
            if steps > 200000:  # it waits for what the other processor has, which stands still
                return None, None
        return signalled, steps

    def close(self):
        self.ask('D')
        self.stub.close()


def latencies(bench, names, rounds):
    """[{name: {device: {kind, p10, median, ...}}}], us"""
    found = []
    for r in range(rounds):
        found.append({})
        for name in names[::-1 if r % 2 else 1]:
            driver, via = bench.contenders[name]
            bench.bind(driver)
            bench.guest.do(f'$sluice bind {DEVICES["edu"]} {driver}')
            found[-1][name] = {
                device: json.loads(bench.guest.do(f'{bench.tools["irq"]} {address} {device} {via} {INTERRUPTS}').splitlines()[-1])
                for device, address in DEVICES.items()}
        say(f'uio_msix: latencies, round {r + 1} of {rounds}')
    return found


def instructions(bench, name, times=3):
    """For each time [(until eventfd_signal() has returned, until the handler has)] of an e1000e's interrupt, one for each function
    through which it goes; nobody waits for the eventfd."""
    driver, via = bench.contenders[name]
    bench.bind(driver)
    symbols = bench.guest.do(f'grep -Ew "{"|".join(HANDLERS[name])}|eventfd_signal|eventfd_signal_mask" /proc/kallsyms')
    where = {line.split()[2]: int(line.split()[0], 16) for line in symbols.splitlines()}
    signal_address = where.get('eventfd_signal_mask') or where['eventfd_signal']
    found = []
    for _ in range(times):
        bench.guest.do(f'{bench.tools["irq"]} {DEVICES["e1000e"]} e1000e {via} 1 2 >/run/out 2>&1 & program=$!')
        time.sleep(1)
        debugger = Debugger()
        found.append([debugger.handler(where[h], signal_address) for h in HANDLERS[name] if h in where])
        debugger.close()
        bench.guest.do('wait $program')
    say(f'uio_msix: {name}: {found} instructions')
    return found


def boot(script, args, rounds):
    bench = Bench(args.kernel, (args.sluice, args.irq), 1, BOOTS[script], script)
    names = list(bench.contenders)
    found = {'kernel': bench.guest.do('uname -r')}
    if 'uio_msix' in names:
        bench.guest.do('load uio_msix')
    for name in names:
        bench.bind(bench.contenders[name][0])
        bench.check(name)
    found['latency'] = latencies(bench, names, rounds)
    found['packets'] = measure(bench, rounds)
    found['instructions'] = {name: instructions(bench, name) for name in names}
    bench.guest.do(f'$sluice unbind {DEVICES["edu"]}')
    if 'uio_msix' in names:
        bench.guest.do('driver e1000e; rmmod uio_msix')
    bench.guest.end()
    return found


def tables(found, rounds, before):
    one, other = (found[script] for script in BOOTS)
    keys = [(f'{what}_{size}', f'{what.upper()}, {size} B') for what, size in MEASURES]

    def source(name):
        return other if name == 'vfio' else one

    def packets(name, key, what):
        return [r[name][key][what] for r in source(name)['packets']]

    def latency(name, device, what):
        return spread([r[name][device][what] for r in source(name)['latency']])

    def kind(name, device):
        return source(name)['latency'][0][name][device]['kind']

    def counted(name):
        times = [t for t in source(name)['instructions'][name] if all(whole for _, whole in t)]
        return [name, len(times[0]) if times else '-',
                spread([sum(whole for _, whole in t[:-1]) + t[-1][0] for t in times if t[-1][0]])]

    ratios = [[text, spread([a / b for a, b in zip(packets('uio_msix', key, 'pps'),
                                                   packets('uio_pci_generic', key, 'pps'))]),
               '%.3g' % (statistics.median(packets('uio_msix', key, 'pps')) /
                         statistics.median(packets('vfio', key, 'pps')))] for key, text in keys]
    return [
        f'### uio_msix against uio_pci_generic and vfio, Linux {one["kernel"]}\n',
        f'Medians of {rounds} rounds (min..max); load before: {before}. uio_msix and uio_pci_generic in turn in one boot without an '
        'IOMMU, vfio in another boot with one.\n',
        table(['1000 packets a second', *NAMES],
              [[text, *(spread([v / 1e3 for v in packets(n, key, 'pps')]) for n in NAMES)] for key, text in keys]),
        table(['uio_msix, times', 'uio_pci_generic, of each round', 'vfio, of medians, another boot'], ratios),
        table(['us of the guest\'s CPU a packet', *NAMES],
              [[text, *(spread(packets(n, key, 'cpu')) for n in NAMES)] for key, text in keys]),
        table(['us from raised to read', *NAMES],
              [[f'{device}, {what}', *(f'{kind(n, device)}: {latency(n, device, what)}' for n in NAMES)]
               for device in DEVICES for what in ('p10', 'median', 'p90')]),
        table(['instructions', 'functions in turn', 'from the handler\'s first until eventfd_signal() has returned'],
              [counted(name) for name in NAMES]),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for program in ('sluice', 'irq'):
        parser.add_argument(program, type=pathlib.Path)
    parser.add_argument('--quick', action='store_true', help='one round')
    parser.add_argument('--kernel', default='6.12', help='of the guest')
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    before, rounds = load(), 1 if args.quick else 5
    found = {script: boot(script, args, rounds) for script in BOOTS}
    save('uio_msix', tables(found, rounds, before), {'boots': found, 'rounds': rounds})


if __name__ == '__main__':
    main()
