# SPDX-License-Identifier: BSD-2-Clause
"""Guest to guest through sluice against a kernel bridge; called by vm_net.sh, in its namespace, which has the bridge."""
import collections
import json
import os
import pathlib
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import plot
from report import RESULTS, load, number, save, say, spread, table

SLUICE, KERNEL, ACCEL = os.environ['SLUICE'], pathlib.Path(os.environ['KERNEL']), os.environ['ACCEL']
QUICK = '--quick' in sys.argv
ROUNDS, SECONDS = (1, 1) if QUICK else (5, 3)
BENCH = pathlib.Path(__file__).resolve().parent
GUEST, VM = BENCH / 'vm_net_guest.sh', BENCH.parent / 'tests/vm'
LIMIT = 150 + 40 * ROUNDS  # s
APPEND = 'console=ttyS0 quiet panic=-1 no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1'
PATHS = ('sluice', 'bridge')
TESTS = {  # name -> (what it is, from what the guest says of it, more is better)
    'tcp': ('TCP, 1 stream, Gbit/s', lambda said: json.loads(said)['end']['sum_received']['bits_per_second'] / 1e9, True),
    'udp': ('UDP, 64 B, delivered, kpps', lambda said: delivered(json.loads(said)['end']['sum']), True),
    'ping': ('ping RTT, average, us', lambda said: float(said) * 1e3, False),
}


def delivered(end):
    return (end['packets'] - end['lost_packets']) / end['seconds'] / 1e3


def pack(work, role):
    """Its initramfs: what tests/vm packs, and what is to be run."""
    packed, own = work / 'packed', work / f'own-{role}'
    if not packed.exists():
        subprocess.run([VM / 'pack.sh', packed, KERNEL, '-m', 'virtio_net', 'iperf3', 'ping', 'ip', VM / 'guest.sh', GUEST], check=True)
    (own / 'etc').mkdir(parents=True)
    (own / 'etc/guest').write_text(f'GUEST_TEST={shlex.quote(str(GUEST))}\nGUEST_SECONDS={LIMIT}\n'
                                   f'GUEST_ARGUMENTS="{role} {ROUNDS} {SECONDS}"\n', encoding='utf-8')
    more = subprocess.run('find . | cpio -o -H newc -R 0:0 --quiet', shell=True, cwd=own, stdout=subprocess.PIPE, check=True).stdout
    path = work / f'initrd-{role}'
    path.write_bytes(packed.read_bytes() + more)
    return path


def qemu(work, role):
    n = 'ab'.index(role) + 1
    return ['qemu-system-x86_64', '-machine', 'q35', *ACCEL.split(), '-smp', '1', '-m', '512', '-nodefaults', '-display', 'none',
            '-no-reboot', '-kernel', KERNEL / 'vmlinux', '-initrd', pack(work, role), '-append', APPEND,
            '-serial', f'file:{work}/console-{role}', '-serial', f'file:{work}/said-{role}',
            '-object', 'memory-backend-memfd,id=m,size=512M,share=on', '-numa', 'node,memdev=m',
            '-chardev', f'socket,id=c,path={work}/{role}.sock', '-netdev', 'vhost-user,id=n0,chardev=c',
            '-device', f'virtio-net-pci,netdev=n0,mac=52:54:00:5b:00:0{n},vectors=0,romfile=',
            '-netdev', f'tap,id=n1,ifname=t{role},script=no,downscript=no,vhost=off',
            '-device', f'virtio-net-pci,netdev=n1,mac=52:54:00:5b:01:0{n},vectors=0,romfile=']


def wait_for(what, done, seconds, processes):
    end = time.monotonic() + seconds
    while not done():
        dead = [p.args[0] for p in processes if p.poll() is not None]
        if dead or time.monotonic() > end:
            raise RuntimeError(f'waited in vain for {what}' + ''.join(f': {name} has ended' for name in dead))
        time.sleep(0.1)


def run(work, processes):
    """What guest A says until it is done."""
    def start(command, name):
        with open(work / f'{name}.log', 'wb') as log:
            processes.append(subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    socks = [work / f'{role}.sock' for role in 'ab']
    start([SLUICE, 'link', '--stats', '0', *(f'vhost-user:path={sock}' for sock in socks)], 'sluice')
    wait_for('the sockets of sluice', lambda: all(sock.exists() for sock in socks), 10, processes)
    for role in 'ba':
        start(qemu(work, role), f'qemu-{role}')
    said, seen = work / 'said-a', set()

    def done():
        text = said.read_text(errors='replace').replace('\r', '') if said.exists() else ''
        for line in text.splitlines(True):
            if line.startswith('ok - ') and line.endswith('\n') and line not in seen:
                seen.add(line)
                say('vm_net: ' + line[len('ok - '):].strip())
        return '%% status ' in text

    wait_for('guest A', done, LIMIT, processes)
    text = said.read_text(errors='replace').replace('\r', '')
    if '%% status 0' not in text:
        raise RuntimeError('guest A failed')
    return text


def results(text):
    """{test: {path: [a value a round]}}"""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in text.splitlines():
        if line.startswith('RESULT '):
            _, path, test, said = line.split(' ', 3)
            found[test][path].append(TESTS[test][1](said))
    return found


def better(values, more):
    """How many times what sluice does is that of the bridge, round by round."""
    return spread([(a / b) if more else (b / a) for a, b in zip(values['sluice'], values['bridge'])])


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work, processes, before = pathlib.Path(tempfile.mkdtemp(prefix='slbench')), [], load()
    try:
        found = results(run(work, processes))
    except (RuntimeError, OSError) as error:
        logs = ''.join(f'{log.name}: {log.read_text(errors="replace")[-1500:]}\n' for log in sorted(work.glob('*.log')) + [
            work / 'said-a', work / 'said-b'] if log.exists())
        sys.exit(f'vm_net: {error}\n{logs}')
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
        shutil.rmtree(work, ignore_errors=True)
    rows = [[what, spread(found[test]['bridge']), spread(found[test]['sluice']), better(found[test], more)]
            for test, (what, _, more) in TESTS.items()]
    about = (f'Two guests, Linux 6.12, one processor each ({ACCEL}), each with a NIC over vhost-user and one of QEMU\'s on a TAP, '
             f'vhost=off; `sluice link vhost-user: vhost-user:`, one worker, adaptive; this machine has {os.cpu_count()} CPUs. Ratios '
             f'hold, absolute figures do not. {time.strftime("%F")}; load before: {before}.')
    save('vm_net', ['### Guest to guest: sluice against a kernel bridge with TAPs\n',
                    f'Medians of {ROUNDS} rounds in turn (min..max), {SECONDS} s each; the ratio is of each round, more is better.',
                    about + '\n',
                    table(['', 'bridge', 'sluice', 'sluice, times better'], rows)],
         {'rounds': ROUNDS, 'seconds': SECONDS, 'about': about, 'found': found})
    plot.bars(RESULTS / 'vm_net.svg', 'Guest to guest', ['Emulated guests: ratios hold, absolute figures do not.'], [
        (what, [(path, statistics.median(v), min(v), max(v), number(statistics.median(v))) for path, v in found[test].items()])
        for test, (what, _, _) in TESTS.items()])


main()
