#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What came of `meson test` in several build directories, as one summary.

usage: summary.py BUILD VARIANT...

Prints the output of tests that failed, the reason of each that was skipped, and as its last line
"N passed, N failed, N skipped". Each meson test counts as one; so does a variant that does not build,
has run nothing, or in which a sanitizer reported what no test noticed. Exits 1 if anything failed or nothing passed.
"""
import glob
import json
import os
import re
import sys

PASSED = {'OK', 'EXPECTEDFAIL'}
TAIL = 80  # lines of output shown for each failure


def read(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as f:
            return f.read()
    except OSError:
        return ''


def tail(text):
    """What a test says of its failure, above the end of its output: who cuts that short keeps the first lines."""
    lines = text.rstrip().splitlines()
    said = [line for line in lines if re.match(r'FAIL:|not ok', line)]
    return '\n'.join('    ' + line for line in said[:TAIL] + lines[-TAIL:])


def output(test):
    return test.get('stdout', '') + test.get('stderr', '')


def skipped_parts(test):
    """TAP: the subtests that were skipped, and why."""
    return re.findall(r'(?mi)^(?:ok \d+ *-? *|1\.\.0 *)(.*# *skip.*)$', test.get('stdout', ''))


def reason(test):
    lines = [line.strip() for line in output(test).splitlines() if line.lstrip().startswith('SKIP:')]
    return lines[-1][len('SKIP:'):].strip() if lines else '; '.join(skipped_parts(test)) or 'gives no reason'


def findings(reports):
    """What sanitizers reported, without their complaints that there is no llvm-symbolizer."""
    lines = (line for text in reports for line in text.splitlines())
    return '\n'.join(line for line in lines if line.strip() and 'external symbolizer' not in line)


class Summary:
    def __init__(self):
        self.passed, self.failures, self.skips, self.notes = 0, [], [], []

    def add_test(self, variant, test):
        name = f'{variant}: {test["name"].split(":")[-1]}'
        if test['result'] in PASSED:
            self.passed += 1
            self.notes += [f'{name}: {part}' for part in skipped_parts(test)]
        elif test['result'] == 'SKIP':
            self.skips.append(f'{name}: {reason(test)}')
        else:
            how = f'{name}: {test["result"]}, exit status {test["returncode"]}'
            self.failures.append((how, output(test)))

    def add_variant(self, build, variant):
        place = os.path.join(build, variant)
        if os.path.exists(place + '.failed'):
            self.failures.append((f'{variant}: does not build', read(place + '.failed')))
            return
        tests = [json.loads(line) for line in read(place + '/meson-logs/testlog.json').splitlines()]
        reports = findings(read(p) for p in sorted(glob.glob(place + '/sanitizer/report*')))
        before = len(self.failures)
        for test in tests:
            self.add_test(variant, test)
        if not tests:
            self.failures.append((f'{variant}: ran no tests', ''))
        elif reports and len(self.failures) == before:
            self.failures.append((f'{variant}: a sanitizer reported what no test noticed', reports))
        elif reports:
            self.failures[-1] = (self.failures[-1][0], self.failures[-1][1] + reports)

    def show(self):
        for how, text in self.failures:
            print(f'\nFAILED {how}\n{tail(text)}')
        for title, lines in (('Skipped', self.skips), ('Skipped within tests that passed', self.notes)):
            if lines:
                print(f'\n{title}:')
                print('\n'.join('  ' + line for line in lines))
        print(f'\n{self.passed} passed, {len(self.failures)} failed, {len(self.skips)} skipped')


def main(build, *variants):
    summary = Summary()
    for variant in variants:
        summary.add_variant(build, variant)
    summary.show()
    return 1 if summary.failures or not summary.passed else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
