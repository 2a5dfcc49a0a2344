# SPDX-License-Identifier: BSD-2-Clause
"""What the benchmarks share: medians with their spread, Markdown tables, bench/results/."""
import json
import os
import pathlib
import statistics
import sys
import time

RESULTS = pathlib.Path(__file__).parent / 'results'


def say(text):
    """Progress, to standard error: the tables go to standard output."""
    print(f'  [{time.strftime("%H:%M:%S")}] {text}', file=sys.stderr, flush=True)


def load():
    return '%.2f' % os.getloadavg()[0]


def number(x):
    """Three digits that count."""
    if x == 0:
        return '0'
    return f'{x:.0f}' if abs(x) >= 100 else f'{x:.1f}' if abs(x) >= 10 else f'{x:.2f}' if abs(x) >= 1 else f'{x:.3f}'


def spread(values):
    """Median (min..max), or a dash for nothing."""
    values = [v for v in values if v is not None]
    if not values:
        return '-'
    return f'{number(statistics.median(values))} ({number(min(values))}..{number(max(values))})'


def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    return '\n'.join(lines + ['| ' + ' | '.join(map(str, row)) + ' |' for row in rows]) + '\n'


def save(name, parts, data):
    """Write results/NAME.md and .json, and print the former."""
    RESULTS.mkdir(exist_ok=True)
    text = '\n'.join(parts)
    (RESULTS / f'{name}.md').write_text(text)
    (RESULTS / f'{name}.json').write_text(json.dumps(data) + '\n')
    print(text)


def main(path):
    """A file of JSON objects, one a line, as a table."""
    with open(path, encoding='utf-8') as f:
        objects = [json.loads(line) for line in f]
    if not objects:
        print('skipped: there was nothing to compare with')
        return
    print(table([key.replace('_', ' ') for key in objects[0]], [o.values() for o in objects]))


if __name__ == '__main__':
    main(sys.argv[1])
