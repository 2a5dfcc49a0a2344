# SPDX-License-Identifier: BSD-2-Clause
"""The encrypted tunnel against its like; called by tunnel.sh, which makes the namespaces and says what may be set."""
import collections
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

import plot
from report import RESULTS, load, save, say, spread, table

SLUICE = os.environ['SLUICE']
UDP = os.environ['UDP']  # bench/udp.c
NS = dict(zip('ab', sys.argv[1:3]))
WORK = pathlib.Path(sys.argv[3])
WORDS = [word for word in sys.argv[4:] if word != '--quick']
QUICK = '--quick' in sys.argv or os.environ.get('QUICK', '0') not in ('', '0')
ROUNDS = int(os.environ.get('ROUNDS') or (1 if QUICK else 5))
TCP_S = int(os.environ.get('SECONDS_EACH') or 1)
UDP_S = TCP_S * (0.35 if QUICK else 0.5)
PINGS = 25 if QUICK else 50
STEP = 1.15 if QUICK else 1.1
GRID = []  # packets a second that the UDP search may offer
while not GRID or GRID[-1] < 2_000_000:
    GRID.append(round(20_000 * STEP ** len(GRID)))
CONGESTION = os.environ.get('CONGESTION') or 'cubic'
LOSS_MAX = 1.0  # per cent

GCM, CHACHA = 'AES-256-GCM', 'CHACHA20-POLY1305'
BUFFERS = ['--sndbuf', '4194304', '--rcvbuf', '4194304', '--txqueuelen', '2000']
# The parameter of tunnel: that forces who does the encryption; contestants with one need it to exist.
AEAD = 'aead'
Contestant = collections.namedtuple('Contestant', 'kinds cipher openvpn tunnel', defaults=(GCM, [], ''))
CONTESTANTS = {
    'veth': Contestant(()),
    'openvpn GCM': Contestant(('openvpn', 'openvpn')),
    'openvpn ChaCha': Contestant(('openvpn', 'openvpn'), CHACHA),
    'openvpn GCM, 4 MiB': Contestant(('openvpn', 'openvpn'), GCM, BUFFERS),
    'openvpn ChaCha, 4 MiB': Contestant(('openvpn', 'openvpn'), CHACHA, BUFFERS),
    'wireguard-go': Contestant(('wireguard-go', 'wireguard-go'), CHACHA),
    'sluice GCM': Contestant(('sluice', 'sluice')),
    'sluice ChaCha': Contestant(('sluice', 'sluice'), CHACHA),
    'sluice GCM, openssl': Contestant(('sluice', 'sluice'), GCM, [], f',{AEAD}=openssl'),
    'sluice ChaCha, openssl': Contestant(('sluice', 'sluice'), CHACHA, [], f',{AEAD}=openssl'),
    # A stock openvpn at one end:
    'mixed: sluice to openvpn GCM, 4 MiB': Contestant(('sluice', 'openvpn'), GCM, BUFFERS),
    'mixed: openvpn to sluice GCM, 4 MiB': Contestant(('openvpn', 'sluice'), GCM, BUFFERS),
}
METRICS = {  # key -> what it is; the first are plotted
    'tcp_1': 'TCP 1 stream, Gbit/s',
    'tcp_4': 'TCP 4 streams, Gbit/s',
    'udp_1400': 'UDP 1400 B, kpps at < 1 % loss',
    'udp_64': 'UDP 64 B, kpps at < 1 % loss',
    'rtt': 'RTT idle, us',
    'rtt_load': 'RTT under TCP load, us',
    'cpu_tcp': 'CPU a Gbit of TCP, both ends, ms',
    'cpu_1400': 'CPU a packet, UDP 1400 B, both ends, us',
    'cpu_64': 'CPU a packet, UDP 64 B, both ends, us',
}
FIRST = ('tcp_1', 'tcp_4', 'udp_1400', 'udp_64', 'rtt', 'rtt_load')
# What the tunnel aims at: (contestant, against, metrics, at least or at most, ratio)
AIMS = [
    ('sluice GCM', 'openvpn GCM, 4 MiB', ('tcp_1',), '>=', 5),
    ('sluice GCM', 'wireguard-go', ('tcp_1',), '>=', 8),
    ('sluice GCM', 'veth', ('tcp_1',), '>=', 0.4),
    ('sluice ChaCha', 'openvpn ChaCha, 4 MiB', ('tcp_1',), '>=', 4),
    ('sluice GCM', 'openvpn GCM, 4 MiB', ('udp_1400', 'udp_64'), '>=', 2),
    ('sluice ChaCha', 'openvpn ChaCha, 4 MiB', ('udp_1400', 'udp_64'), '>=', 2),
    ('sluice GCM', 'openvpn GCM, 4 MiB', ('cpu_1400', 'cpu_64'), '<=', 1 / 3),
    ('sluice ChaCha', 'openvpn ChaCha, 4 MiB', ('cpu_1400', 'cpu_64'), '<=', 1 / 3),
    ('sluice GCM', 'openvpn GCM, 4 MiB', ('rtt',), '<=', 1),
    ('mixed: sluice to openvpn GCM, 4 MiB', 'openvpn GCM, 4 MiB', ('tcp_1',), '>=', 1),
    ('mixed: openvpn to sluice GCM, 4 MiB', 'openvpn GCM, 4 MiB', ('tcp_1',), '>=', 1),
]
WIRE = {'a': '192.0.2.1', 'b': '192.0.2.2'}
OTHER = {'a': 'b', 'b': 'a'}


def run(ns, *args, timeout=60, check=False):
    return subprocess.run(['ip', 'netns', 'exec', NS[ns], *map(str, args)], capture_output=True, text=True,
                          timeout=timeout, check=check)


def output(*args, **more):
    """What a command says, all of it; nothing if there is none."""
    try:
        return subprocess.run(args, capture_output=True, text=True, check=False, **more).stdout.strip()
    except OSError:
        return ''


class Path:
    """One way from A to B: its addresses, and the process at each end unless it is the bare wire."""

    def __init__(self, name, number):
        self.name, self.what = name, CONTESTANTS[name]
        self.port = 1194 + number
        self.net = f'10.78.{number}' if self.what.kinds else '192.0.2'
        self.device = f'n{number}'
        self.processes, self.hints = {}, {}
        for end, kind in zip('ab', self.what.kinds):
            start = {'openvpn': self.openvpn, 'wireguard-go': self.wireguard, 'sluice': self.sluice}[kind]
            self.log(end).touch()
            start(end)

    def log(self, end):
        return WORK / f'{self.device}-{end}.log'

    def address(self, end):
        return f'{self.net}.{1 if end == "a" else 2}'

    def start(self, end, *command, **environment):
        """The namespace's exec becomes the command: the pid is its own."""
        with open(self.log(end), 'wb') as log:
            self.processes[end] = subprocess.Popen(['ip', 'netns', 'exec', NS[end], *map(str, command)], stdout=log,
                                                   stderr=subprocess.STDOUT, env={**os.environ, **environment})

    def openvpn(self, end):
        other = OTHER[end]
        tls = ['--tls-server', '--dh', 'none'] if end == 'a' else ['--tls-client']
        self.start(end, 'openvpn', '--dev-type', 'tun', '--dev', self.device, '--proto', 'udp4', '--disable-dco',
                   '--local', WIRE[end], '--remote', WIRE[other], '--port', self.port, '--ping', 10,
                   '--ping-restart', 60, '--verb', 3, '--data-ciphers', self.what.cipher, *self.what.openvpn, *tls,
                   '--cert', WORK / f'id-{end}/cert.pem', '--key', WORK / f'id-{end}/key.pem',
                   '--peer-fingerprint', FINGERPRINT[other], '--ifconfig', self.address(end), self.address(other))

    def sluice(self, end):
        other = OTHER[end]
        self.start(end, SLUICE, 'link', '--stats', 0, '--json', *os.environ.get('SLUICE_OPTIONS', '').split(),
                   f'tun:name={self.device},addr={self.address(end)}/24',
                   f'tunnel:local={WIRE[end]}:{self.port},remote={WIRE[other]}:{self.port},identity={WORK}/id-{end},'
                   f'peer={FINGERPRINT[other]},role={"server" if end == "a" else "client"},'
                   f'cipher={self.what.cipher.lower()}{self.what.tunnel}')

    def wireguard(self, end):
        device = f'wg{os.getpid()}{end}'  # its control socket is in a folder that namespaces share
        self.start(end, 'wireguard-go', '-f', device, WG_PROCESS_FOREGROUND='1')
        keys = {}
        for who in 'ab':
            path = WORK / f'wg-{who}'
            if not path.exists():
                path.write_text(output('wg', 'genkey'))
            keys[who] = output('wg', 'pubkey', input=path.read_text())
        other = OTHER[end]
        for _ in range(50):
            done = run(end, 'wg', 'set', device, 'private-key', WORK / f'wg-{end}', 'listen-port', self.port, 'peer',
                       keys[other], 'allowed-ips', self.net + '.0/24', 'endpoint', f'{WIRE[other]}:{self.port}')
            if not done.returncode:
                break
            time.sleep(0.1)
        run(end, 'ip', 'addr', 'add', self.address(end) + '/24', 'dev', device)
        run(end, 'ip', 'link', 'set', device, 'mtu', 1440, 'up')

    def trouble(self):
        """What is wrong with it, or nothing."""
        for end, process in self.processes.items():
            if process.poll() is not None:
                last = self.log(end).read_text(errors='replace').strip().splitlines()[-1:]
                return f'{CONTESTANTS[self.name].kinds["ab".index(end)]} ended, status {process.returncode}: {last}'
        return ''

    def connect(self):
        """Twenty seconds at most; what is wrong, or nothing."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not self.trouble():
            if not run('a', 'ping', '-c', 1, '-W', 1, self.address('b')).returncode:
                return ''
            time.sleep(0.1)
        return self.trouble() or 'no ping came through in 20 s'

    def close(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def reports(self):
        """What each sluice said at its end."""
        found = {}
        for end, kind in zip('ab', self.what.kinds):
            lines = self.log(end).read_text(errors='replace').splitlines()
            if kind == 'sluice' and lines and lines[-1].startswith('{'):
                found[end] = json.loads(lines[-1])
        return found

    def cpu(self):
        """Seconds so far: of the process at each end; of the machine without idle, iowait and steal; and stolen."""
        tick = os.sysconf('SC_CLK_TCK')
        # utime + stime of a process in ns, which /proc/PID/stat has in ticks of 10 ms: clock_getcpuclockid(3)'s clock.
        times = {end: time.clock_gettime(~process.pid << 3 | 2) for end, process in self.processes.items()}
        with open('/proc/stat', encoding='ascii') as f:
            user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
        return [times.get('a', 0), times.get('b', 0), (user + nice + system + irq + softirq) / tick, steal / tick]

    def spent(self, before, key, units, scale):
        """Per unit since @before, under names that end with @key."""
        a, b, machine, _ = (scale * (after - b4) / units for after, b4 in zip(self.cpu(), before))
        found = {f'machine_{key}': machine}
        if self.processes:
            found |= {f'cpu_{key}': a + b, f'cpu_{key}_a': a, f'cpu_{key}_b': b}
        return found


def pings(text):
    times = [float(t) * 1000 for t in re.findall(r'time=([\d.]+)', text)]
    return statistics.median(times) if times else None


def iperf3(path, *args):
    """What arrived, in bits. A server may still be busy with the test before: tried again."""
    control = [] if CONGESTION == '-' else ['--congestion', CONGESTION]
    for _ in range(5):
        out = run('a', 'iperf3', '--client', path.address('b'), '--json', '-t', TCP_S, *control, *args)
        report = json.loads(out.stdout or '{}')
        if 'error' not in report and report.get('end'):
            received = report['end']['sum_received']
            return received['bytes'] * 8, received['bits_per_second']
        time.sleep(0.2)
    raise RuntimeError(f'iperf3: {report.get("error", out.stderr)}')


def tcp_1(path):
    """One stream, and pings meanwhile."""
    ping = subprocess.Popen(['ip', 'netns', 'exec', NS['a'], 'ping', '-c', str(TCP_S * 45), '-i', '0.02', '-W', '1',
                             path.address('b')], stdout=subprocess.PIPE, text=True)
    before = path.cpu()
    bits, rate = iperf3(path)
    found = {'tcp_1': rate / 1e9, **path.spent(before, 'tcp', bits / 1e9, 1e3)}
    return found | {'rtt_load': pings(ping.communicate(timeout=20)[0])}


def tcp_4(path):
    return {'tcp_4': iperf3(path, '-P', 4)[1] / 1e9}


def rtt(path):
    return {'rtt': pings(run('a', 'ping', '-c', PINGS, '-i', '0.01', '-W', '1', path.address('b')).stdout)}


def udp_once(path, size, rate):
    """Offer @rate for a while."""
    receiver = subprocess.Popen(['ip', 'netns', 'exec', NS['b'], UDP, 'receive'], stdout=subprocess.PIPE, text=True)
    receiver.stdout.readline()
    before = path.cpu()
    sent, seconds = map(float, run('a', UDP, 'send', path.address('b'), size, rate, UDP_S).stdout.split())
    got = int(receiver.communicate(timeout=20)[0])
    return {'size': size, 'offered': rate, 'sent': sent / seconds, 'got': got / seconds,
            'loss': 100 * (1 - got / max(sent, 1)), **path.spent(before, size, max(got, 1), 1e6)}


def udp(path, size, trials):
    """The most that was delivered with a loss below LOSS_MAX: a bisection of GRID, from the last result outwards."""
    good, bad, best = -1, len(GRID), None
    hint = path.hints.get(size)
    at, stride = (len(GRID) // 2, 0) if hint is None else (hint, 1)
    again = True  # may the end be doubted?
    while bad - good > 1 or (again and bad < len(GRID)):
        if bad - good == 1:  # If something else caused that loss, on from there.
            at, bad, stride, again = bad, len(GRID), 1, False
        one = udp_once(path, size, GRID[at])
        trials.append({'contestant': path.name, **one})
        if one['loss'] >= LOSS_MAX:
            bad = at
        else:
            good = path.hints[size] = at
            best = one if best is None or one['got'] > best['got'] else best
        if stride and good < 0:
            at, stride = max(bad - stride, 0), stride * 2
        elif stride and bad == len(GRID):
            at, stride = min(good + stride, bad - 1), stride * 2
        else:
            at = (good + bad) // 2
    if best is None:
        return {}
    cpu = {key: value for key, value in best.items() if key.startswith(('cpu_', 'machine_'))}
    return {f'udp_{size}': best['got'] / 1e3, **cpu}


def contestants():
    """Those that can take part, and why the others cannot."""
    words = output(SLUICE, 'link', '--help')
    chosen, skipped = [], {}
    for name, what in CONTESTANTS.items():
        missing = [tool for kind in what.kinds for tool in {'wireguard-go': ('wireguard-go', 'wg')}.get(kind, (kind,))
                   if kind != 'sluice' and not shutil.which(tool)]
        if WORDS and not any(word in name for word in WORDS):
            continue
        if missing:
            skipped[name] = f'{missing[0]} is not installed'
        elif what.tunnel and f' {AEAD}=' not in words:
            skipped[name] = f'this sluice has no tunnel:{AEAD}='
        else:
            chosen.append(name)
    return chosen, skipped


def facts():
    """What a reader must know about where it was measured."""
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        cpu = f.read()
    flags = [flag for flag in ('aes', 'vaes', 'vpclmulqdq', 'avx512f', 'hypervisor') if re.search(rf'\b{flag}\b', cpu)]
    system = re.search('PRETTY_NAME="(.*)"', pathlib.Path('/etc/os-release').read_text(encoding='utf-8'))
    aead = re.search(r'^\s*aead\s+(?:yes|no)\s+(.*)', output(SLUICE, 'probe'), re.M)
    return {
        'date': time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime()),
        'machine': f'{re.search("model name.*: (.*)", cpu)[1]}, {os.cpu_count()} CPUs ({", ".join(flags)})',
        'system': f'Linux {platform.release()}, {system[1] if system else platform.platform()}',
        'versions': '; '.join(words.splitlines()[0] for words in (
            output(SLUICE, '--version'), ' '.join(output('openvpn', '--version').split()[:2]),
            'wireguard-go ' + output('dpkg-query', '-W', '-f', '${Version}', 'wireguard-go'),
            ' '.join(output('iperf3', '--version').split()[:2])) if words),
        'encryption': aead[1] if aead else 'as this sluice is built',
        'TCP': CONGESTION if CONGESTION != '-' else
               run('a', 'cat', '/proc/sys/net/ipv4/tcp_congestion_control').stdout.strip(),
        'settings': f'{ROUNDS} rounds, TCP {TCP_S} s, UDP {UDP_S:g} s a try in steps of {STEP:g}'
                    + ''.join(f', {key}={os.environ[key]}' for key in ('SLUICE_OPTIONS', 'TXQUEUELEN') if os.environ.get(key)),
        'load before': load(),
    }


def interfaces():
    """Counters of both ends: who has dropped what."""
    return {end: {link['ifname']: {way: {key: link['stats64'][way][key] for key in ('packets', 'dropped')}
                                   for way in ('rx', 'tx')} for link in json.loads(run(end, 'ip', '-j', '-s', 'link').stdout)}
            for end in 'ab'}


def values(rounds, name, key):
    return [r[name].get(key) for r in rounds]


def ratios(rounds, one, other, key):
    return [r[one][key] / r[other][key] for r in rounds if r.get(one, {}).get(key) and r.get(other, {}).get(key)]


def both(rounds, name, key):
    """sender + receiver, of the medians"""
    a, b = ([v for v in values(rounds, name, f'{key}_{end}') if v is not None] for end in 'ab')
    return f'{statistics.median(a):.2f} + {statistics.median(b):.2f}' if a and b else '-'


def aims(rounds):
    for one, other, keys, sign, bound in AIMS:
        for key in keys:
            found = ratios(rounds, one, other, key)
            if found:
                middle = statistics.median(found)
                met = middle >= bound if sign == '>=' else middle <= bound
                yield [METRICS[key], f'{one} / {other}', f'{sign} {bound:.3g}', spread(found), 'yes' if met else 'no']


def tables(rounds, names, about, skipped):
    peers = [n for n in names if not n.startswith(('sluice', 'mixed'))]
    ours = [n for n in names if n not in peers]
    yield '### Tunnels\n'
    yield '\n'.join(f'- {key}: {value}' for key, value in about.items()) + '\n'
    yield ''.join(f'SKIP: {name}: {why}\n' for name, why in skipped.items())
    yield 'Medians of the rounds (min..max).\n'
    yield table(['', *(METRICS[k] for k in FIRST)], [[n, *(spread(values(rounds, n, k)) for k in FIRST)] for n in names])
    yield 'CPU of the processes, sender + receiver, and of the whole machine.\n'
    yield table(['', 'ms a Gbit, TCP', 'machine', 'us a packet, 1400 B', 'machine', 'us a packet, 64 B', 'machine'],
                [[n, *(cell for k in ('tcp', '1400', '64')
                       for cell in (both(rounds, n, f'cpu_{k}'), spread(values(rounds, n, f'machine_{k}'))))] for n in names])
    if ours and peers:
        yield 'Ratios of each round, ours through theirs.\n'
        yield table(['', *METRICS.values()],
                    [[f'{one} / {other}', *(spread(ratios(rounds, one, other, k)) for k in METRICS)] for one in ours
                     for other in peers if CONTESTANTS[one].cipher == CONTESTANTS[other].cipher or 'openvpn' not in other])
    rows = list(aims(rounds))
    if rows:
        yield table(['aim', '', 'ratio', 'found', 'met'], rows)


def draw(rounds, names, about):
    panels = []
    for key, title in METRICS.items():
        rows = []
        for name in names:
            found = [v for v in values(rounds, name, key) if v is not None]
            if found:
                rows.append((name, statistics.median(found), min(found), max(found), spread(found)))
        panels.append((title, rows))
    plot.bars(RESULTS / 'tunnel.svg', 'Tunnels between two namespaces, both ends on one machine',
              [about['machine'], about['system'], f'{about["date"]}; medians, min..max; {about["settings"]}'], panels)


def others(paths):
    """Per cent of the CPUs that is busy while nothing is measured: with other things, and with idle tunnels."""
    def now():
        return Path.cpu(Path('veth', 0))[2], sum(sum(path.cpu()[:2]) for path in paths.values() if not path.trouble())
    before = now()
    time.sleep(0.4)
    machine, tunnels = (100 * (after - b4) / 0.4 / os.cpu_count() for after, b4 in zip(now(), before))
    return max(machine - tunnels, 0), tunnels


def measure(paths, trials, disturbed):
    """One round: each measure of all contestants in turn. Who fails is out of this measure; who has ended, of all."""
    found = {name: {} for name in paths}
    for what, one in (('TCP 1', tcp_1), ('TCP 4', tcp_4), ('RTT', rtt),
                      ('UDP 1400', lambda p: udp(p, 1400, trials)), ('UDP 64', lambda p: udp(p, 64, trials))):
        disturbed.append(others(paths))
        say(f'tunnel: {what}; busy: {disturbed[-1][0]:.0f} % of the CPUs with other things, '
            f'{disturbed[-1][1]:.1f} % with idle tunnels')
        for name, path in paths.items():
            if path.trouble():
                continue
            try:
                found[name] |= one(path)
            except (RuntimeError, ValueError, KeyError, OSError, subprocess.SubprocessError) as error:
                say(f'tunnel: {name}: {what} failed: {error}; {path.trouble()}')
    return found


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names, skipped = contestants()
    paths, rounds, trials, disturbed, server = {}, [], [], [], None
    for end in 'ab':
        FINGERPRINT[end] = output(SLUICE, 'keygen', '--out', WORK / f'id-{end}')
    try:
        server = subprocess.Popen(['ip', 'netns', 'exec', NS['b'], 'iperf3', '--server'], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        about = facts()
        for name in names:
            paths[name] = Path(name, 1 + list(CONTESTANTS).index(name))
        for name in names:
            path, why = paths[name], paths[name].connect()
            if os.environ.get('TXQUEUELEN') and not why:
                for end, kind in zip('ab', path.what.kinds):
                    if kind == 'sluice':
                        run(end, 'ip', 'link', 'set', path.device, 'txqueuelen', os.environ['TXQUEUELEN'])
            if why:
                skipped[name] = why
                paths.pop(name).close()
        for name, why in skipped.items():
            say(f'tunnel: SKIP: {name}: {why}')
        stolen, began = Path.cpu(Path('veth', 0))[3], time.monotonic()
        for r in range(ROUNDS):
            say(f'tunnel: round {r + 1} of {ROUNDS}')
            rounds.append(measure(paths, trials, disturbed))
        drops = interfaces()
        stolen = 100 * (Path.cpu(Path('veth', 0))[3] - stolen) / (time.monotonic() - began) / os.cpu_count()
        about |= {'stolen by the hypervisor': f'{stolen:.1f} %',
                  'CPUs busy between measures': f'{spread([d[0] for d in disturbed])} % with other things, '
                                                f'{spread([d[1] for d in disturbed])} % with idle tunnels'}
    finally:
        for path in paths.values():
            path.close()
        if server:
            server.kill()
            server.wait()
    say(f'tunnel: measured for {time.monotonic() - began:.0f} s')
    save('tunnel', tables(rounds, list(paths), about, skipped),
         {'about': about, 'skipped': skipped, 'contestants': {n: CONTESTANTS[n]._asdict() for n in paths},
          'rounds': rounds, 'trials': trials, 'interfaces': drops, 'reports': {n: p.reports() for n, p in paths.items()}})
    draw(rounds, list(paths), about)


FINGERPRINT = {}
main()
