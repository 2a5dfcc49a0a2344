#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The verdict of `make check` (scripts/summary.py): its last line and exit status for builds that went well, badly, or nowhere.

usage: verdict.py ROOT
"""
import json
import os
import subprocess
import sys
import tempfile


def variant(build, name, *tests, report='', broken=False):
    """Leave behind what scripts/check.sh would have for one variant."""
    place = os.path.join(build, name)
    os.makedirs(place + '/meson-logs')
    os.makedirs(place + '/sanitizer')
    with open(place + '/meson-logs/testlog.json', 'w', encoding='utf-8') as f:
        for result, stdout in tests:
            print(json.dumps({'name': 't', 'result': result, 'returncode': 0, 'stdout': stdout}), file=f)
    if report:
        with open(place + '/sanitizer/report.1', 'w', encoding='utf-8') as f:
            f.write(report)
    if broken:
        with open(place + '.failed', 'w', encoding='utf-8') as f:
            f.write('ld: no\n')


OK = ('OK', 'ok 1 - a\n')
# what it is, the variants, status, last line, what must be said before it
CASES = [
    ('all is well', {'a': [OK, OK], 'b': [OK]}, {}, 0, '3 passed, 0 failed, 0 skipped', ''),
    ('one failed', {'a': [OK, ('FAIL', 'because\n')]}, {}, 1, '1 passed, 1 failed, 0 skipped', 'because'),
    ('one crashed', {'a': [OK, ('ERROR', '')]}, {}, 1, '1 passed, 1 failed, 0 skipped', 'ERROR'),
    ('one timed out', {'a': [OK, ('TIMEOUT', '')]}, {}, 1, '1 passed, 1 failed, 0 skipped', 'TIMEOUT'),
    ('one skipped', {'a': [OK, ('SKIP', 'SKIP: x\nSKIP: no root\n')]}, {}, 0, '1 passed, 0 failed, 1 skipped', 'a: t: no root'),
    ('TAP skipped', {'a': [OK, ('SKIP', '1..0 # SKIP no tap\n')]}, {}, 0, '1 passed, 0 failed, 1 skipped', 'no tap'),
    ('part skipped', {'a': [('OK', 'ok 1 - b # SKIP no v6\n')]}, {}, 0, '1 passed, 0 failed, 0 skipped', 'b # SKIP no v6'),
    ('all skipped', {'a': [('SKIP', '')]}, {}, 1, '0 passed, 0 failed, 1 skipped', 'gives no reason'),
    ('nothing ran', {'a': [OK], 'b': []}, {}, 1, '1 passed, 1 failed, 0 skipped', 'b: ran no tests'),
    ('no build', {'a': [OK], 'b': []}, {'b': {'broken': True}}, 1, '1 passed, 1 failed, 0 skipped', 'ld: no'),
    ('a hidden leak', {'a': [OK]}, {'a': {'report': 'leaked'}}, 1, '1 passed, 1 failed, 0 skipped', 'leaked'),
]


def holds(root, what, variants, extra, status, last, said):
    with tempfile.TemporaryDirectory() as build:
        for name, tests in variants.items():
            variant(build, name, *tests, **extra.get(name, {}))
        script = os.path.join(root, 'scripts/summary.py')
        result = subprocess.run([sys.executable, '-B', script, build, *variants], capture_output=True, text=True)
    good = result.returncode == status and result.stdout.endswith('\n' + last + '\n') and said in result.stdout
    if not good:
        print(f'{what}: status {result.returncode}, not {status} and {last!r}:\n{result.stdout}{result.stderr}')
    return good


if __name__ == '__main__':
    sys.exit(0 if all([holds(sys.argv[1], *case) for case in CASES]) else 1)
