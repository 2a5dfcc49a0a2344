#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `sluice link --json` has reported.

usage: report.py FILE EXPRESSION   print a value of the last whole line, e.g. 'there.drops("source")'
       report.py --check FILE      every line must be as sluice-link(1) documents it

In an expression `there` is the direction from the first port, `back` the other, `time` and so on the
members of the object itself.
"""
import json
import sys

FIELDS = {'time': float, 'interval': float, 'final': bool, 'directions': list}
DIRECTION = {'from': str, 'to': str, 'packets': int, 'bytes': int, 'pps': float, 'bps': float, 'cut': int,
             'copied': int, 'drops': dict, 'gone': bool}
REASONS = {'source', 'truncated', 'malformed', 'unsupported', 'too-large', 'no-buffer', 'refused', 'down',
           'recalled', 'peer-gone', 'auth-failed', 'replayed', 'too-short', 'unknown-key', 'no-session',
           'send-failed', 'not-ip'}


class Direction:
    def __init__(self, fields):
        self.fields = fields

    def __getattr__(self, name):
        return self.fields[name]

    def drops(self, *reasons):
        """Packets lost for these reasons; without one, for any."""
        drops = self.fields['drops']
        return sum(n for reason, n in drops.items() if not reasons or reason in reasons)

    def lost(self):
        """Packets that the link lost. What TCP sends faster than the interface is read, the kernel
        drops before: that is no fault where it is not the question."""
        return self.drops() - self.drops('source')


def last(path):
    with open(path) as file:
        lines = [line for line in file if line.endswith('\n')]
    return json.loads(lines[-1])


def evaluate(path, expression):
    report = last(path)
    names = dict(zip(('there', 'back'), map(Direction, report['directions'])))
    return eval(expression, {**report, **names})


def check_types(where, fields, types):
    missing = types.keys() - fields.keys()
    assert not missing, f'{where}: without {missing}'
    for name, kind in types.items():
        number = kind is float and type(fields[name]) is int
        assert number or type(fields[name]) is kind, f'{where}: {name} is {fields[name]!r}'


def check(path):
    before = None
    with open(path) as file:
        lines = file.read().splitlines()
    assert lines, 'no report'
    for n, line in enumerate(lines, 1):
        report = json.loads(line)
        check_types(f'line {n}', report, FIELDS)
        assert report['final'] == (n == len(lines)), f'line {n} of {len(lines)}: final is {report["final"]}'
        for i, direction in enumerate(report['directions']):
            check_types(f'line {n}, direction {i}', direction, DIRECTION)
            drops = direction['drops']
            assert drops.keys() <= REASONS and all(drops.values()), f'line {n}: drops {drops}'
            if before:
                for name in ('packets', 'bytes', 'cut', 'copied'):
                    assert direction[name] >= before['directions'][i][name], f'line {n}: {name} went back'
                for reason, count in before['directions'][i]['drops'].items():
                    assert drops.get(reason, 0) >= count, f'line {n}: drops {reason} went back'
        if before:
            assert report['time'] >= before['time'], f'line {n}: time went back'
            assert len(report['directions']) == len(before['directions']), f'line {n}: directions'
        before = report


if __name__ == '__main__':
    if sys.argv[1] == '--check':
        check(sys.argv[2])
    else:
        print(evaluate(*sys.argv[1:]))
