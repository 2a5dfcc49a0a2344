#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A disk of the guest's kernel that is a process: sluice and qemu-storage-daemon in turn, and a loop device for scale, in one
boot of a guest.

Called by vduse.sh, which looks for what is needed.
"""
import argparse
import collections
import json
import pathlib
import statistics
import subprocess
import sys

import plot
from report import RESULTS, load, save, say, spread, table

HERE = pathlib.Path(__file__).parent
RUN = HERE.parent / 'tests/vm/run.sh'
AIMS = [  # contender, against, test, at least
    ('sluice, file', 'qemu-storage-daemon, file', '4k randread, qd1', 1.5),
    ('sluice, file', 'qemu-storage-daemon, file', '4k randread, qd32', 1.5),
    ('sluice, file', 'qemu-storage-daemon, file', '4k randwrite, qd1', 1.5),
    ('sluice, file', 'qemu-storage-daemon, file', '4k randwrite, qd32', 1.5),
    ('sluice, file, adaptive', 'qemu-storage-daemon, file', '4k randread, qd1', 5),
    ('sluice, file, adaptive', 'qemu-storage-daemon, file', '4k randwrite, qd1', 5),
    ('sluice, null', 'qemu-storage-daemon, null', '4k randread, qd1', 1.5),
    ('sluice, null', 'qemu-storage-daemon, null', '4k randread, qd32', 1.5),
    ('sluice, null, adaptive', 'qemu-storage-daemon, null', '4k randread, qd1', 5),
]


def run(sluice, rounds, seconds):
    """{test: {contender: [IOPS, ...]}}"""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    with subprocess.Popen([RUN, '6.12', HERE / 'vduse_guest.sh', sluice, str(rounds), str(seconds)], stdout=subprocess.PIPE,
                          text=True) as guest:
        said = []
        for line in guest.stdout:
            said.append(line)
            if line.startswith('# RESULT '):
                result = json.loads(line[len('# RESULT '):])
                found[result['test']][result['contender']].append(result['iops'] or result['write_iops'])
            elif line.startswith('ok ') and 'round' in line:
                say('vduse: ' + line.strip())
    if guest.returncode:
        sys.exit(''.join(said) + f'the guest failed: {guest.returncode}')
    return found


def ratios(found):
    for contender, against, test, least in AIMS:
        pairs = [a / b for a, b in zip(found[test][contender], found[test][against])]
        yield [contender, against, test, spread(pairs), f'{least:g}', 'yes' if statistics.median(pairs) >= least else 'NO']


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sluice', type=pathlib.Path)
    parser.add_argument('--quick', action='store_true', help='one round')
    args = parser.parse_args()
    before, rounds, seconds = load(), 1 if args.quick else 5, 1 if args.quick else 2
    found = run(args.sluice, rounds, seconds)
    names = list(dict.fromkeys(name for contenders in found.values() for name in contenders))
    save('vduse', [
        '### A disk over VDUSE, in a guest\n',
        f'IOPS, medians of {rounds} rounds (min..max), contenders in turn in one boot; fio, libaio, direct, {seconds} s each; load '
        f'before: {before}. The guest is emulated (TCG): ratios hold, absolute figures do not.\n',
        table(['', *found], [[name, *(spread(found[test][name]) for test in found)] for name in names]),
        table(['', 'against', 'test', 'times, round by round', 'aim', 'reached'], ratios(found)),
    ], {'iops': found, 'rounds': rounds, 'seconds': seconds})
    panels = [(test, [(name, statistics.median(v), min(v), max(v), spread(v) + ' IOPS') for name, v in contenders.items()])
              for test, contenders in found.items()]
    plot.bars(RESULTS / 'vduse.svg', 'A disk over VDUSE', ['In an emulated guest, Linux 6.12: ratios hold, absolute figures do not.'],
              panels)


if __name__ == '__main__':
    main()
