# SPDX-License-Identifier: BSD-2-Clause
"""A NIC over vhost-user: sluice and DPDK's net_vhost in turn, DPDK's virtio-user is the driver; called by vhost_net.sh."""
import collections
import contextlib
import itertools
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
from report import RESULTS, load, number, save, say, spread, table

SLUICE, PROGRAM = os.environ['SLUICE'], sys.argv[1]
DISTANCE = pathlib.Path(PROGRAM).with_name('distance')
QUICK = '--quick' in sys.argv
ROUNDS, SLICES, PACKETS, SECONDS = (1, 10, 20000, 1) if QUICK else (5, 50, 20000, 1)
MORE = 0 if QUICK else 4  # rounds of two processes, for those whose processors were not near in all
DEVICE, DRIVER = '0', '1'  # processors
PAGES = 280  # of 2 MiB: two processes of DPDK
AIM = 0.8
RINGS = {'split': 0, 'packed': 1}
WAYS, SIZES = ('to driver', 'from driver'), (64, 1500)
FEATURES = [(1, 1), (1, 0), (0, 1), (0, 0)]  # in_order, mrg_rxbuf
ENDS = {'dpdk': 'DPDK', 'sluice': 'sluice', 'sluice, copied': 'sluice, copied'}
POOL = pathlib.Path('/proc/sys/vm/nr_hugepages')


@contextlib.contextmanager
def huge_pages():
    """True with enough of them that are free, reserved if that can be done, and given back."""
    if '--no-huge' in sys.argv:
        yield False
        return
    found = dict(re.findall(r'(\w+): +(\d+)', pathlib.Path('/proc/meminfo').read_text(encoding='utf-8')))
    before, lacking = int(found['HugePages_Total']), PAGES - int(found['HugePages_Free'])
    try:
        if lacking > 0 and os.access(POOL, os.W_OK):
            POOL.write_text(str(before + lacking), encoding='ascii')
            lacking -= int(POOL.read_text(encoding='ascii')) - before
        yield lacking <= 0
    finally:
        if os.access(POOL, os.W_OK) and POOL.read_text(encoding='ascii').strip() != str(before):
            POOL.write_text(str(before), encoding='ascii')


def one_thread(huge, ring, in_order, mrg_rxbuf, *more, wrap=()):
    """What the program found: {(contender, way, bytes): [ns, ...]}. Ends when the drivers did not settle on the same, or not on
    what they were told."""
    done = subprocess.run([*wrap, PROGRAM, f'huge={huge:d}', f'packed={RINGS[ring]}', f'in_order={in_order}', f'mrg_rxbuf={mrg_rxbuf}',
                           f'cpu={DRIVER}', *more], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        sys.exit(f'vhost_net: {ring}, in_order={in_order}, mrg_rxbuf={mrg_rxbuf}: {done.stderr.strip()}')
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]
    settled = {int(line['features'], 16) for line in lines}
    if len(settled) != 1:
        sys.exit(f'vhost_net: the drivers did not settle on the same features: {", ".join(map(hex, settled))}')
    for bit, wanted in ((34, RINGS[ring]), (35, in_order), (15, mrg_rxbuf)):
        if any(f >> bit & 1 != wanted for f in settled):
            sys.exit(f'vhost_net: feature {bit} should be {wanted}: {", ".join(map(hex, settled))}')
    return {(line['contender'], line['way'], line['bytes']): line['ns'] for line in lines}


def instructions(work):
    """Of each end for a packet of 64 bytes: a run under callgrind, which has no huge pages, with 2 N packets, less one with N.
    {(ring, end): number}"""
    found = {}
    if not shutil.which('callgrind_annotate'):
        return found
    counts = 20000
    for ring in RINGS:
        say(f'vhost_net: counting instructions, {ring}')
        runs = []
        for packets in (counts, 2 * counts):
            out = work / 'callgrind'
            one_thread(False, ring, 1, 1, 'slices=1', f'packets={packets}', 'bytes=64', wrap=(
                'valgrind', '--tool=callgrind', '--toggle-collect=slice', f'--callgrind-out-file={out}'))
            said = subprocess.run(['callgrind_annotate', '--inclusive=yes', '--threshold=100', out], capture_output=True, text=True,
                                  check=True).stdout
            # A function may have a line for each file whose code is inlined in it: the first is the largest.
            runs.append({})
            for m in re.finditer(r'^ *([\d,]+) \([ \d.]+%\) +\S+:(device_\w+|driver_\w+) ', said, re.M):
                runs[-1].setdefault(m[2], int(m[1].replace(',', '')))
        for name in runs[0]:
            drivers = 3 if name == 'driver_send' else 2 if name == 'driver_receive' else 1  # so many paths use it
            found[ring, name] = (runs[1][name] - runs[0][name]) / (2 * counts * drivers)  # two slices: warming up, and one
    return found


def testpmd(cpu, huge, vdev, forward, size):
    memory = ['-m', '256', '--in-memory', '--single-file-segments'] if huge else ['-m', '256', '--no-huge', '--no-shconf']
    return ['dpdk-testpmd', '--lcores', f'0@{cpu},1@{cpu}', *memory, f'--file-prefix=bench{cpu}', '--iova-mode=va', '--no-pci',
            '--no-telemetry', '--vdev', vdev, '--', f'--forward-mode={forward}', f'--txpkts={size}', '--no-mlockall',
            '--total-num-mbufs=16384', '--stats-period', '1']


def device(contender, huge, sock, ring, way, size):
    if contender == 'dpdk':
        return testpmd(DEVICE, huge, f'net_vhost0,iface={sock},queues=1', 'txonly' if way == 'to driver' else 'rxonly', size)
    port = f'vhost-user:path={sock},packed={"on" if RINGS[ring] else "off"}'
    ports = [f'gen:size={size}', port] if way == 'to driver' else [port, 'null:']
    return ['taskset', '-c', DEVICE, SLUICE, 'link', '--stats', '0', '--poll', 'on', *ports]


class Running:
    """A process whose standard input stays open."""
    all = set()

    def __init__(self, command, log):
        with open(log, 'wb') as out:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out)
        self.all.add(self.process)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.all.remove(self.process)


class Distance:
    """Of the two processors, while it is measured."""

    def __init__(self):
        self.process = subprocess.Popen([DISTANCE, DEVICE, DRIVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def end(self):
        """'near' or 'far', as they were nearly all of the time; 'between'; 'unknown' without the right to ask."""
        self.process.terminate()
        said, _ = self.process.communicate()
        if self.process.returncode:
            return 'unknown'
        far = json.loads(said)['far']
        return 'near' if far <= 0.2 else 'far' if far >= 0.8 else 'between'


def two_processes(huge, work, contender, ring, way, size):
    """Mpps, as the driver sees them, and how far its processor was from the other one."""
    sock, logs = str(work / 'sock'), (work / 'device.log', work / 'driver.log')
    back = Running(device(contender, huge, sock, ring, way, size), logs[0])
    for _ in range(200):
        if os.path.exists(sock):
            break
        time.sleep(0.05)
    front = Running(testpmd(DRIVER, huge, f'net_virtio_user0,path={sock},queues=1,queue_size=256,packed_vq={RINGS[ring]}',
                            'rxonly' if way == 'to driver' else 'txonly', size), logs[1])
    rates, distance, state, deadline = [], None, 'unknown', time.monotonic() + SECONDS + 20
    while len(rates) < SECONDS + 1 and time.monotonic() < deadline and front.process.poll() is None:
        time.sleep(0.1)
        said = logs[1].read_text(errors='replace')
        rates = [int(n) for n in re.findall(('Rx' if way == 'to driver' else 'Tx') + r'-pps: +(\d+)', said) if int(n)]
        if rates and not distance:
            distance = Distance()
    if distance:
        state = distance.end()
    front.end()  # the driver first: its end is an orderly one
    back.end()
    for left in work.glob('sock*'):
        left.unlink()
    if len(rates) < SECONDS + 1:
        sys.exit(f'vhost_net: {contender}, {ring}, {way}, {size} bytes: no packets\n' +
                 ''.join(log.read_text(errors='replace')[-1500:] for log in logs))
    return statistics.median(rates[1:]) / 1e6, state


def one_round_of_two(huge, work, two):
    """Of those that have not been measured often enough with their processors near."""
    for ring, way, size in itertools.product(RINGS, WAYS, SIZES):
        near = two[ring, way, size, 'near']
        for contender in ('dpdk', 'sluice'):
            if min(len(near['dpdk']), len(near['sluice'])) < ROUNDS:
                rate, state = two_processes(huge, work, contender, ring, way, size)
                two[ring, way, size, state][contender].append(rate)


def measure(huge, work):
    """{config: {contender: [a value a round]}}, in one thread and in two processes, and the ratios."""
    one = collections.defaultdict(lambda: collections.defaultdict(list))
    two = collections.defaultdict(lambda: collections.defaultdict(list))
    for n in range(ROUNDS):
        say(f'vhost_net: round {n + 1} of {ROUNDS}')
        for ring in RINGS:
            for features in FEATURES:
                slices = one_thread(huge, ring, *features, f'slices={SLICES}', f'packets={PACKETS}')
                for (contender, way, size), ns in slices.items():
                    found = one[ring, features, way, size]
                    found[contender].append(statistics.median(ns))
                    found[f'{contender} / dpdk'].append(statistics.median(b / a for a, b in zip(ns, slices['dpdk', way, size])))
            say(f'vhost_net: one thread, {ring}')
        one_round_of_two(huge, work, two)
        say('vhost_net: two processes')
    for n in range(MORE):
        say(f'vhost_net: two processes, again where they were not near: {n + 1} of {MORE}')
        one_round_of_two(huge, work, two)
    for found in two.values():
        found['sluice / dpdk'] = [b / a for a, b in zip(found['dpdk'], found['sluice'])]
    return one, two


def reached(ratios):
    middle = statistics.median(ratios)
    return 'wanted' if middle >= 1 else 'yes' if middle >= AIM else 'NO'


def ways(key):
    """The columns of @key, of one way: its contenders, its ratios."""
    names = ['dpdk', 'sluice'] + ['sluice, copied'] * (key == 'from driver')
    return names, [f'{name} / dpdk' for name in names[1:]]


def one_table(one, features):
    for ring in RINGS:
        for way in WAYS:
            for size in SIZES:
                found = one[ring, features, way, size]
                yield [ring, way, size, *(spread(found[c]) for c in ENDS), spread(found['sluice / dpdk']),
                       spread(found['sluice, copied / dpdk']), reached(found['sluice / dpdk'])]


def two_table(two):
    for (ring, way, size, state), found in sorted(two.items(), key=lambda i: (RINGS[i[0][0]], WAYS.index(i[0][1]), i[0][2:])):
        ratios = found['sluice / dpdk']
        if state != 'between' and ratios:
            yield [ring, way, size, state, len(ratios), spread(found['dpdk']), spread(found['sluice']), spread(ratios), reached(ratios)]


def instruction_table(each):
    for name in sorted({name for _, name in each}):
        yield [name.replace('_', ' '), *(number(each[ring, name]) for ring in RINGS)]


def tables(one, two, each, about):
    yield '### A NIC over vhost-user, without a guest\n'
    yield (f'DPDK\'s virtio-user is the driver; queues of 256, bursts of 32, medians of {ROUNDS} rounds (min..max), contenders in turn. '
           f'The ratio is of rates, more is better; aim {AIM:g}, wanted 1. {about}\n')
    yield (f'One thread has both ends, ns a packet a crossing: medians of {SLICES} slices of {PACKETS} packets, a slice for each in '
           'turn. sluice lends packets from the driver out of its memory, *copied* copies them out of it as net_vhost does.\n')
    for in_order, mrg_rxbuf in FEATURES:
        yield f'in_order={in_order}, mrg_rxbuf={mrg_rxbuf}:\n'
        yield table(['ring', 'way', 'bytes', *ENDS.values(), 'sluice / DPDK', 'copied / DPDK', 'reached'],
                    one_table(one, (in_order, mrg_rxbuf)))
    yield (f'Two processes, each on a processor of its own, as the driver counts: Mpps. DPDK\'s device: testpmd; sluice: `link --poll on` '
           'with `gen:` or `null:`. A host may give out two processors that share a cache or two that do not, and change its mind: a line '
           'from one to the other takes 60 ns when they are near, over 150 when they are far (bench/distance.c, while it is measured).\n')
    yield table(['ring', 'way', 'bytes', 'processors', 'pairs', 'DPDK', 'sluice', 'sluice / DPDK', 'reached'], two_table(two))
    if each:
        yield ('Instructions a packet of 64 bytes of each end in one thread, in_order=1, mrg_rxbuf=1 (callgrind, no AVX-512; the ring of a '
               'link included):\n')
        yield table(['', *RINGS], instruction_table(each))


def draw(one, two, about):
    panels = []
    for ring, way, size in itertools.product(RINGS, WAYS, SIZES):
        single = one[ring, FEATURES[0], way, size]
        states = {state: two[ring, way, size, state] for state in ('near', 'far', 'unknown')}
        names, _ = ways(way)
        panels.append((f'{ring}, {way}, {size} bytes: one thread', [
            (ENDS[c], 1e3 / statistics.median(single[c]), 1e3 / max(single[c]), 1e3 / min(single[c]),
             f'{number(1e3 / statistics.median(single[c]))} Mpps') for c in names]))
        panels.append((f'{ring}, {way}, {size} bytes: two processes', [
            (f'{ENDS[c]}, {state}', statistics.median(found[c]), min(found[c]), max(found[c]), f'{number(statistics.median(found[c]))} Mpps')
            for state, found in states.items() for c in ('dpdk', 'sluice') if found[c]]))
    plot.bars(RESULTS / 'vhost_net.svg', 'A NIC over vhost-user, without a guest',
              [about, f'Medians of {ROUNDS} rounds, min..max. One thread: both ends on one processor.'], panels)


def facts(huge):
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        cpu = re.search('model name.*: (.*)', f.read())[1]
    versions = [subprocess.run(tool, capture_output=True, text=True, check=False).stdout.splitlines()[0]
                for tool in ((SLUICE, '--version'), ('pkg-config', '--modversion', 'libdpdk'))]
    return (f'{"Huge pages of 2 MiB" if huge else "No huge pages"} on all sides. {cpu}, {os.cpu_count()} CPUs, Linux {os.uname().release}; '
            f'{versions[0]}; DPDK {versions[1]}; {time.strftime("%F")}; load before: {load()}')


def plain(found):
    return [{'config': key, **values} for key, values in found.items()]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = pathlib.Path(tempfile.mkdtemp(prefix='slbench'))
    try:
        with huge_pages() as huge:
            about = facts(huge)
            one, two = measure(huge, work)
            each = instructions(work)
    finally:
        for process in Running.all:
            process.kill()
            process.wait()
        shutil.rmtree(work, ignore_errors=True)
    save('vhost_net', tables(one, two, each, about),
         {'rounds': ROUNDS, 'slices': SLICES, 'packets': PACKETS, 'about': about, 'huge': huge, 'one_thread_ns': plain(one),
          'two_processes_mpps': plain(two), 'instructions': [[*key, n] for key, n in each.items()]})
    draw(one, two, about)


main()
