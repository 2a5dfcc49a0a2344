#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the shared library exports, what the headers declare and what linkage.c calls are one set.

The static library, which hides nothing, has no name that another program could have as well.

usage: linkage.py ROOT NM LIBSLUICE.SO LINKAGE LIBSLUICE.A
"""
import subprocess
import sys

import declared
import tree


def in_headers(root):
    headers = tree.under(root, 'include', '.h')
    return {f.name for path in headers for f in declared.functions(tree.read(root, path)) if not f.inline}


def symbols(nm, path, which):
    """Dynamic symbols of a file without their versions; A: the names of the versions themselves."""
    out = subprocess.run([nm, '-D', which, path], capture_output=True, text=True, check=True).stdout
    fields = [line.split() for line in out.splitlines()]
    return {f[-1].split('@')[0] for f in fields if f[-2] != 'A'}


def differences(exported, declared_, called):
    """One sentence for each function that is not in all three sets."""
    problems = [f'{name}: exported, but no header declares it' for name in exported - declared_]
    problems += [f'{name}: declared, but not exported: src/sluice.map' for name in declared_ - exported]
    problems += [f'{name}: declared, but tests/build/linkage.c does not call it' for name in declared_ - called]
    return sorted(problems)


def foreign(nm, archive):
    """Global names of the static library that do not say whose they are."""
    out = subprocess.run([nm, '-g', '--defined-only', archive], capture_output=True, text=True, check=True).stdout
    names = [line.split()[2] for line in out.splitlines() if len(line.split()) == 3]
    assert names, 'no names at all'
    return [f'{name}: a global name without sl_ before it' for name in names
            if not name.startswith(('sl_', '__asan', '__odr_asan', '__tsan', '_'))]


def self_test():
    assert not differences({'a'}, {'a'}, {'a'})
    for sets in (({'a', 'b'}, {'a'}, {'a', 'b'}), ({'a'}, {'a', 'b'}, {'a', 'b'}), ({'a', 'b'}, {'a', 'b'}, {'a'})):
        assert len(differences(*sets)) == 1, sets


def main(root, nm, library, program, archive):
    self_test()
    called = {s for s in symbols(nm, program, '--undefined-only') if s.startswith('sl_')}
    exported = symbols(nm, library, '--defined-only')
    problems = differences(exported, in_headers(root), called)
    problems += foreign(nm, archive)
    print('\n'.join(problems) or f'{len(exported)} functions')
    sys.exit(1 if problems or not exported else 0)


if __name__ == '__main__':
    main(*sys.argv[1:])
