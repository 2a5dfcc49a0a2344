# SPDX-License-Identifier: BSD-2-Clause
"""A disk over uduse, whose driver copies each request through a bounce buffer, against vhost-user, which shares all memory;
called by uduse.sh."""
import collections
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import plot
from disk import BACK_END, FRONT_END, MODES, ROUNDS, SECONDS, SLUICE, BackEnd, drive
from report import RESULTS, load, save, say, spread, table

STORES = {'null': 'blk,null', 'mem': 'blk,mem=64M'}
TESTS = ('4k randread, qd1', '4k randread, qd32', '4k randwrite, qd1', '4k randwrite, qd32')
VIAS = {'vhost-user': '', 'uduse': 'uduse:'}  # -> before the socket, for sluice io


def measure(work, found):
    """One round: each store and mode, over both, all tests."""
    for store, model in STORES.items():
        for mode in MODES:
            for via, prefix in VIAS.items():
                sock, polls = str(work / 'sock'), mode == 'polling'
                # Over uduse it is the driver who listens, each time anew.
                back_end = BackEnd([SLUICE, 'serve', '--stats', '0', '--poll', 'on' if polls else 'off', model, '--via',
                                    f'{via}:path={sock}'], sock, work / 'log', listens=via == 'vhost-user')
                for test in TESTS:
                    found[store, mode, test][via].append(drive(prefix + sock, test, polls)['iops'])
                back_end.end()


def ratios(values):
    return spread([a / b for a, b in zip(values['uduse'], values['vhost-user'])])


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found, before = collections.defaultdict(lambda: collections.defaultdict(list)), load()
    work = pathlib.Path(tempfile.mkdtemp(prefix='slbench'))
    try:
        for n in range(ROUNDS):
            say(f'uduse: round {n + 1} of {ROUNDS}')
            measure(work, found)
    finally:
        for process in BackEnd.running:
            process.kill()
            process.wait()
        shutil.rmtree(work, ignore_errors=True)
    version = subprocess.run([SLUICE, '--version'], capture_output=True, text=True, check=False).stdout.strip()
    about = (f'IOPS, medians of {ROUNDS} rounds (min..max), in turn, {SECONDS:g} s each: `sluice serve` on processor {BACK_END}, `sluice '
             f'io` on {FRONT_END}, one queue, split ring. Polling: both ends look all the time. {version}; {time.strftime("%F")}; load '
             f'before: {before}')
    rows = [[store, mode, test, spread(values['vhost-user']), spread(values['uduse']), ratios(values)]
            for (store, mode, test), values in found.items()]
    save('uduse', ['### A disk over uduse\n', about + '\n',
                   table(['store', 'mode', 'test', 'vhost-user', 'uduse', 'uduse / vhost-user, round by round'], rows)],
         {'rounds': ROUNDS, 'seconds': SECONDS, 'iops': [{'store': s, 'mode': m, 'test': t, **v} for (s, m, t), v in found.items()]})
    plot.bars(RESULTS / 'uduse.svg', 'A disk over uduse', [f'Medians of {ROUNDS} rounds, min..max.'], [
        (f'{store}, {mode}: {test}', [(via, sorted(v)[len(v) // 2], min(v), max(v), spread(v) + ' IOPS') for via, v in values.items()])
        for (store, mode, test), values in found.items()])


main()
