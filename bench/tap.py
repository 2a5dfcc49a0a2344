# SPDX-License-Identifier: BSD-2-Clause
"""TAP to TAP through sluice against a kernel bridge; called by tap.sh, which makes the namespaces."""
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

from report import load, save, say, spread, table

SLUICE = os.environ['SLUICE']
UDP = os.environ['UDP']  # bench/udp.c
A, B = sys.argv[1:3]
QUICK = '--quick' in sys.argv
ROUNDS = 1 if QUICK else 5
TCP_S = 1 if QUICK else 3
PINGS = 50 if QUICK else 100
# Packets a second that the UDP search may offer, each 1.15 times the one before.
GRID = [round(20_000 * 1.15 ** i) for i in range(31)]
LOSS_MAX = 1.0  # per cent
VARIANTS = {  # name -> options of sluice link, options of its ports; None for the bridge
    'bridge': None,
    'sluice': ([], ''),
    'sluice --poll off': (['--poll', 'off'], ''),
    'sluice --poll on': (['--poll', 'on'], ''),
    'sluice --workers 2': (['--workers', '2'], ''),
    'sluice offload=off': ([], ',offload=off'),
}
WHOLE = ('bridge', 'sluice')
METRICS = {  # key -> what it is
    'tcp_ab': 'TCP 1 stream, A to B, Gbit/s',
    'tcp_ba': 'TCP 1 stream, B to A, Gbit/s',
    'tcp_4': 'TCP 4 streams, A to B, Gbit/s',
    'udp_1400': 'UDP 1400 B, kpps at < 1 % loss',
    'udp_64': 'UDP 64 B, kpps at < 1 % loss',
    'rtt': 'ping RTT idle, median, us',
    'rtt_load': 'ping RTT under TCP load, median, us',
    'cpu_udp_64': 'sluice CPU a packet, UDP 64 B, us',
    'cpu_tcp': 'sluice CPU a packet read from a TAP, TCP, us',
    'all_udp_64': 'machine CPU a packet, UDP 64 B, us',
    'all_tcp': 'machine CPU a Gbit, TCP, ms',
}


def run(ns, *args, timeout=30):
    return subprocess.run(['ip', 'netns', 'exec', ns, *args], capture_output=True, text=True, timeout=timeout)


class Path:
    """One way from A to B: its address there, its interface, and the sluice process if there is one."""

    def __init__(self, variant):
        self.process = None
        self.device, self.net = ('v0', '10.79.1') if VARIANTS[variant] is None else ('t0', '10.79.2')
        if VARIANTS[variant] is not None:
            options, port = VARIANTS[variant]
            self.process = subprocess.Popen(
                [SLUICE, 'link', '--json', '--stats', '0', *options, f'tap:name=t0,netns={A},addr=10.79.2.1/24{port}',
                 f'tap:name=t0,netns={B},addr=10.79.2.2/24{port}'], stdout=subprocess.PIPE, text=True)
        self.server = subprocess.Popen(['ip', 'netns', 'exec', B, 'iperf3', '--server'],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(50):
            if run(A, 'ping', '-c', '1', '-W', '1', f'{self.net}.2').returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f'{variant}: no ping in five seconds')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.server, self.process):
            if process:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=10)

    def iperf3(self, *args):
        """The end of its report. A server may still be busy with the test before: tried again."""
        for _ in range(5):
            out = run(A, 'iperf3', '--client', f'{self.net}.2', '--json', *args)
            report = json.loads(out.stdout or '{}')
            if 'error' not in report and report.get('end'):
                return report['end']
            time.sleep(0.2)
        raise RuntimeError(f'iperf3 {" ".join(args)}: {report.get("error", out.stderr)}')

    def ping(self, count, interval):
        out = run(A, 'ping', '-c', str(count), '-i', str(interval), '-W', '1', f'{self.net}.2').stdout
        times = [float(t) * 1000 for t in re.findall(r'time=([\d.]+)', out)]
        return statistics.median(times) if times else None

    def packets(self):
        """What the two interfaces have sent into the path; a super-packet is one."""
        return sum(json.loads(run(ns, 'ip', '-j', '-s', 'link', 'show', self.device).stdout)[0]['stats64']['tx']['packets']
                   for ns in (A, B))

    def cpu(self):
        """Seconds of the sluice process, and of the machine without idle, iowait and steal."""
        tick = os.sysconf('SC_CLK_TCK')
        own = 0
        if self.process:
            with open(f'/proc/{self.process.pid}/stat', encoding='ascii') as f:
                own = sum(map(int, f.read().rpartition(')')[2].split()[11:13])) / tick
        with open('/proc/stat', encoding='ascii') as f:
            user, nice, system, _, _, irq, softirq = map(int, f.readline().split()[1:8])
        return own, (user + nice + system + irq + softirq) / tick


def tcp(path, *args):
    end = path.iperf3('-t', str(TCP_S), *args)
    return end['sum_received']['bits_per_second'] / 1e9


def tcp_loaded(path):
    """One stream, and pings meanwhile."""
    pings = subprocess.Popen(['ip', 'netns', 'exec', A, 'ping', '-c', str(TCP_S * 20), '-i', '0.05', f'{path.net}.2'],
                             stdout=subprocess.PIPE, text=True)
    packets, (own, machine) = path.packets(), path.cpu()
    rate = tcp(path)
    packets = path.packets() - packets
    own, machine = (after - before for after, before in zip(path.cpu(), (own, machine)))
    try:
        out = pings.communicate(timeout=10)[0]
    except subprocess.TimeoutExpired:
        pings.kill()
        out = pings.communicate()[0]
    times = [float(t) * 1000 for t in re.findall(r'time=([\d.]+)', out)]
    return {'tcp_ab': rate, 'rtt_load': statistics.median(times) if times else None,
            'cpu_tcp': own / packets * 1e6 if path.process else None, 'all_tcp': machine / (rate * TCP_S) * 1e3}


def udp_once(path, size, rate):
    """Offer @rate for a second: (delivered a second, loss in per cent, CPU a packet: sluice's, the machine's)."""
    receiver = subprocess.Popen(['ip', 'netns', 'exec', B, UDP, 'receive'], stdout=subprocess.PIPE, text=True)
    receiver.stdout.readline()
    before = path.cpu()
    sent, seconds = map(float, run(A, UDP, 'send', f'{path.net}.2', str(size), str(rate), '1').stdout.split())
    own, machine = (a - b for a, b in zip(path.cpu(), before))
    got = int(receiver.communicate(timeout=10)[0])
    return got / seconds, 100 * (1 - got / max(sent, 1)), own / max(got, 1) * 1e6, machine / max(got, 1) * 1e6


def udp(path, size):
    """The most that was delivered with a loss below LOSS_MAX; a bisection of GRID, five steps."""
    low, high, best = 0, len(GRID) - 1, (None, None, None)
    while low <= high:
        middle = (low + high) // 2
        got, loss, own, machine = udp_once(path, size, GRID[middle])
        if loss < LOSS_MAX:
            if best[0] is None or got > best[0]:
                best = got, own, machine
            low = middle + 1
        else:
            high = middle - 1
    return best


def measure(variant):
    with Path(variant) as path:
        found = tcp_loaded(path)
        found['rtt'] = path.ping(PINGS, 0.01)
        rate, own, found['all_udp_64'] = udp(path, 64)
        found['udp_64'] = rate and rate / 1e3
        found['cpu_udp_64'] = own if path.process else None
        if variant in WHOLE:
            found['tcp_ba'] = tcp(path, '--reverse')
            found['tcp_4'] = tcp(path, '-P', '4')
            rate = udp(path, 1400)[0]
            found['udp_1400'] = rate and rate / 1e3
    if path.process:
        say(f'tap: {variant}: drops ' + str([d['drops'] for d in json.loads(
            path.process.stdout.read().splitlines()[-1])['directions']]))
    return found


def ratios(rounds, key, one='sluice', other='bridge'):
    return [r[one][key] / r[other][key] for r in rounds if r[one].get(key) and r[other].get(key)]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rounds, before = [], load()
    for r in range(ROUNDS):
        rounds.append({})
        for variant in VARIANTS:
            say(f'tap: round {r + 1} of {ROUNDS}, {variant}')
            rounds[-1][variant] = measure(variant)
    values = {v: {k: [r[v].get(k) for r in rounds] for k in METRICS} for v in VARIANTS}
    main_rows = [[text, spread(values['bridge'][k]), spread(values['sluice'][k]), spread(ratios(rounds, k))]
                 for k, text in METRICS.items()]
    some = [k for k in METRICS if k not in ('tcp_ba', 'tcp_4', 'udp_1400')]
    parts = ['### TAP to TAP: sluice against a kernel bridge\n',
             f'Medians of {ROUNDS} rounds in turn (min..max); the ratio is of each round; load before: {before}.\n',
             table(['', 'bridge', 'sluice', 'sluice/bridge'], main_rows),
             '### TAP to TAP: other settings of sluice\n',
             table(['', *(v.removeprefix('sluice ') if v != 'sluice' else 'defaults' for v in VARIANTS if v != 'bridge')],
                   [[METRICS[k], *(spread(values[v][k]) for v in VARIANTS if v != 'bridge')] for k in some])]
    save('tap', parts, {'rounds': rounds})


main()
