# SPDX-License-Identifier: BSD-2-Clause
"""A disk over vhost-user: sluice and qemu-storage-daemon in turn, driven by sluice io; called by disk.sh."""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import plot
from report import RESULTS, load, save, say, spread, table

SLUICE = os.environ['SLUICE']
QUICK = '--quick' in sys.argv
ROUNDS, SECONDS = (1, 0.5) if QUICK else (5, 1)
BACK_END, FRONT_END = '0', '1'  # processors
SIZE = 1 << 30
QSD = 'qemu-storage-daemon'
TESTS = {  # name -> options of sluice io
    '4k randread, qd1': ('randread', '4k', '1'),
    '4k randread, qd32': ('randread', '4k', '32'),
    '4k randwrite, qd1': ('randwrite', '4k', '1'),
    '4k randwrite, qd32': ('randwrite', '4k', '32'),
    '64k read, qd8': ('read', '64k', '8'),
    '64k write, qd8': ('write', '64k', '8'),
}
STORES = ('null', 'tmpfs', 'page cache')
MODES = ('polling', 'interrupts')
AIMS = [  # store, mode, test, at least
    ('null', 'polling', '4k randread, qd32', 1),
    *[(store, mode, f'4k {op}, qd32', 2) for store in STORES[1:] for mode in MODES for op in ('randread', 'randwrite')],
    *[(store, mode, '4k randread, qd1', 1) for store in STORES for mode in MODES],
]


def sluice_command(store, path, sock, polls):
    model = 'blk,null' if store == 'null' else f'blk,file={path}'
    return [SLUICE, 'serve', '--stats', '0', '--poll', 'on' if polls else 'off', model, '--via', f'vhost-user:path={sock}']


def qsd_command(store, path, sock, polls):
    """With a thread of its own, which polls for as long as a test takes, or not at all."""
    node = {
        'null': f'driver=null-co,node-name=n,size={SIZE},read-zeroes=off',
        'tmpfs': f'driver=file,node-name=n,filename={path},aio=threads',
        'page cache': f'driver=file,node-name=n,filename={path},aio=io_uring',
    }[store]
    return [QSD, '--object', f'iothread,id=t,poll-max-ns={10**9 if polls else 0}', '--blockdev', node, '--export',
            f'type=vhost-user-blk,id=e,node-name=n,addr.type=unix,addr.path={sock},writable=on,iothread=t']


CONTENDERS = {'sluice': sluice_command, QSD: qsd_command}


class BackEnd:
    running = set()

    def __init__(self, command, sock, log, pin=('taskset', '-c', BACK_END), listens=True):
        self.sock, self.log = sock, log
        with open(log, 'wb') as out:
            self.process = subprocess.Popen([*pin, *command], stdout=out, stderr=out)
        self.running.add(self.process)
        for _ in range(1200 if listens else 0):
            if os.path.exists(sock) or self.process.poll() is not None:
                break
            time.sleep(0.05)
        time.sleep(0.1)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:  # a busy qemu-storage-daemon at times hears nothing
            self.process.kill()
            self.process.wait()
        self.running.remove(self.process)
        pathlib.Path(self.sock).unlink(missing_ok=True)
        return self.log.read_text(errors='replace')


def drive(sock, test, polls, seconds=SECONDS, more=()):
    """What sluice io says of one test."""
    op, block, depth = TESTS[test]
    command = ['taskset', '-c', FRONT_END, SLUICE, 'io', sock, '--op', op, '--bs', block, '--qd', depth, '--time', str(seconds),
               '--stats', '0', '--json', *more, *(['--poll'] if polls else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f'{" ".join(command)}: {done.stderr.strip()}')
    return json.loads(done.stdout.splitlines()[-1])


def files(work):
    """A file for each store that has one, filled, so that no reading finds a hole."""
    places = {'tmpfs': pathlib.Path(tempfile.mkdtemp(prefix='slbench', dir='/dev/shm')),
              'page cache': pathlib.Path(tempfile.mkdtemp(prefix='slbench', dir=os.environ.get('FOLDER', '/var/tmp')))}
    work.extend(places.values())
    for place in places.values():
        with open(place / 'disk.img', 'wb') as f:
            for _ in range(SIZE >> 20):
                f.write(os.urandom(1 << 20))
    return {store: place / 'disk.img' for store, place in places.items()}


def measure(paths, work, found):
    """One round: each store and mode, both contenders, all tests."""
    for store in STORES:
        for mode in MODES:
            for name, command in CONTENDERS.items():
                sock, polls = str(work / 'sock'), mode == 'polling'
                back_end = BackEnd(command(store, paths.get(store), sock, polls), sock, work / 'log')
                for test in TESTS:
                    found[store, mode, test][name].append(drive(sock, test, polls)['iops'])
                back_end.end()
        say(f'disk: {store}')


def instructions(work):
    """Of the back end alone, for each request to null: a run under callgrind with many, less one with few. {who: number}"""
    if not shutil.which('valgrind'):
        return {}
    pin = ('taskset', '-c', BACK_END, 'valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null')
    found = {}
    for who, command, ring in (('sluice, split', sluice_command, []), ('sluice, packed', sluice_command, ['--packed']),
                               (f'{QSD}, split', qsd_command, [])):
        sock, counts = str(work / 'sock'), []
        for seconds in (0.2, 3):
            back_end = BackEnd(command('null', None, sock, False), sock, work / 'log', pin)
            requests = drive(sock, '4k randread, qd32', False, seconds, ring)['requests']
            counts.append((int(re.search(r'Collected : (\d+)', back_end.end())[1]), requests))
        found[who] = (counts[1][0] - counts[0][0]) / (counts[1][1] - counts[0][1])
    return found


def facts():
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        cpu = re.search('model name.*: (.*)', f.read())[1]
    versions = [subprocess.run([tool, '--version'], capture_output=True, text=True, check=False).stdout.splitlines()[0]
                for tool in (SLUICE, QSD)]
    return f'{cpu}, {os.cpu_count()} CPUs, Linux {os.uname().release}; {"; ".join(versions)}; {time.strftime("%F")}; load before: {load()}'


def ratios(found):
    for store, mode, test, least in AIMS:
        both = found[store, mode, test]
        pairs = [a / b for a, b in zip(both['sluice'], both[QSD])]
        yield [store, mode, test, spread(pairs), f'{least:g}', 'yes' if statistics.median(pairs) >= least else 'NO']


def tables(found, about, each):
    yield '### A disk over vhost-user\n'
    yield (f'IOPS, medians of {ROUNDS} rounds (min..max), contenders in turn, {SECONDS:g} s each, `sluice io` drives both. Back end on '
           f'processor {BACK_END}, front end on {FRONT_END}. Polling: both ends look all the time, and '
           f'{QSD} has an iothread that does. One queue, split ring. {about}\n')
    for store in STORES:
        for mode in MODES:
            yield f'{store}, {mode}:\n'
            yield table(['', *TESTS], [[name, *(spread(found[store, mode, test][name]) for test in TESTS)] for name in CONTENDERS])
    yield table(['store', 'mode', 'test', 'sluice / q-s-d, round by round', 'aim', 'reached'], ratios(found))
    if each:
        yield 'Instructions of the back end for a request to null, interrupts, qd32 (callgrind):\n'
        yield table(['', 'instructions'], [[who, f'{n:.0f}'] for who, n in each.items()])


def draw(found, about):
    panels = [(f'{store}, {mode}: {test}', [(name, statistics.median(v), min(v), max(v), spread(v) + ' IOPS') for name, v in
                                            found[store, mode, test].items()])
              for store in STORES for mode in MODES for test in ('4k randread, qd1', '4k randread, qd32', '4k randwrite, qd32')]
    plot.bars(RESULTS / 'disk.svg', 'A disk over vhost-user', [about, f'Medians of {ROUNDS} rounds, min..max.'], panels)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found = collections.defaultdict(lambda: {name: [] for name in CONTENDERS})
    about, places = facts(), [pathlib.Path(tempfile.mkdtemp(prefix='slbench'))]
    work = places[0]
    try:
        paths = files(places)
        for n in range(ROUNDS):
            say(f'disk: round {n + 1} of {ROUNDS}')
            measure(paths, work, found)
        each = instructions(work)
    finally:
        for back_end in BackEnd.running:
            back_end.kill()
            back_end.wait()
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
    save('disk', tables(found, about, each),
         {'rounds': ROUNDS, 'seconds': SECONDS, 'about': about, 'instructions': each,
          'iops': [{'store': s, 'mode': m, 'test': t, **v} for (s, m, t), v in found.items()]})
    draw(found, about)


if __name__ == '__main__':
    main()
