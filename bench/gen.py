# SPDX-License-Identifier: BSD-2-Clause
"""gen -> null: nanoseconds a packet from the final report, instructions a packet from cachegrind."""
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from report import load, number, save, say, spread, table

SLUICE = os.environ['SLUICE']
QUICK = '--quick' in sys.argv
ROUNDS = 3 if QUICK else 5
COUNT = {1: 5_000_000, 2: 1_000_000} if QUICK else {1: 50_000_000, 2: 10_000_000}
TIMEOUT = 60
CG_COUNT = 50_000 if QUICK else 200_000
TOP = 5
SETUPS = [(1, 'adaptive'), (2, 'adaptive'), (2, 'on'), (2, 'off')]


def command(count, size, flows, workers, poll):
    return [SLUICE, 'link', '--json', '--stats', '0', '--workers', str(workers), '--poll', poll,
            f'gen:count={count},size={size},flows={flows}', 'null:']


def nanoseconds(size, flows, workers, poll):
    """A packet, or None if it took longer than TIMEOUT."""
    count = COUNT[workers]
    try:
        out = subprocess.run(command(count, size, flows, workers, poll), check=True, capture_output=True,
                             text=True, timeout=TIMEOUT).stdout
    except subprocess.TimeoutExpired:
        return None
    final = json.loads(out.splitlines()[-1])
    if final['directions'][0]['packets'] != count:
        sys.exit(f'gen: {count} packets asked for, {final["directions"][0]["packets"]} delivered')
    return final['interval'] * 1e9 / count


def instructions(count, size, flows):
    """Function -> instructions of a whole run."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(['valgrind', '--tool=cachegrind', '--cache-sim=no', f'--cachegrind-out-file={out.name}',
                        *command(count, size, flows, 1, 'adaptive')], check=True, capture_output=True, timeout=300)
        found, name = collections.Counter(), ''
        for line in open(out.name, encoding='utf-8'):
            if line.startswith('fn='):
                name = line[3:].strip()
            elif m := re.match(r'\d+ (\d+)$', line):
                found[name] += int(m.group(1))
    return found


def split(size, flows):
    """Function -> instructions a packet: N and 2N packets, the difference divided by N."""
    once, twice = instructions(CG_COUNT, size, flows), instructions(2 * CG_COUNT, size, flows)
    each = {f: (twice[f] - once[f]) / CG_COUNT for f in twice}
    return dict(sorted(each.items(), key=lambda i: -i[1]))


def main():
    times = {(s, f, w, p): [] for s in (64, 1400) for f in (1, 64) for w, p in SETUPS}
    before = load()
    for r in range(ROUNDS):
        say(f'gen: round {r + 1} of {ROUNDS}, {len(times)} runs')
        for key, values in times.items():
            values.append(nanoseconds(*key))
    rows = []
    for size in (64, 1400):
        for flows in (1, 64):
            rows.append([size, flows, *(spread(times[size, flows, w, p]) for w, p in SETUPS)])
    parts = ['### gen to null: ns a packet\n',
             f'Medians of {ROUNDS} runs (min..max); load before: {before}.\n',
             table(['bytes', 'flows', *(f'{w} worker{"s"[:w > 1]}, {p}' for w, p in SETUPS)], rows)]
    data = {'ns': [dict(zip(('size', 'flows', 'workers', 'poll', 'values'), (*k, v))) for k, v in times.items()]}
    if shutil.which('valgrind'):
        rows, data['instructions'] = [], []
        for size, flows in ((64, 1), (64, 64), (1400, 1)):
            say(f'gen: counting instructions, {size} bytes, {flows} flows')
            each = split(size, flows)
            top = ', '.join(f'{f} {number(n)}' for f, n in list(each.items())[:TOP])
            rows.append([size, flows, number(sum(each.values())), top])
            data['instructions'].append({'size': size, 'flows': flows, 'functions': {f: n for f, n in each.items() if n > 0.01}})
        parts += ['### gen to null: instructions a packet, 1 worker\n',
                  f'cachegrind, {2 * CG_COUNT} packets less {CG_COUNT}; without the kernel\'s.\n',
                  table(['bytes', 'flows', 'all', f'the first {TOP}'], rows)]
    else:
        parts.append('Instructions a packet: skipped, valgrind is not installed.\n')
    save('gen', parts, data)


main()
