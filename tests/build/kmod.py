#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Kernel modules build without warnings, and neither sparse nor checkpatch.pl has anything to say of them.

usage: kmod.py ROOT build|sparse|checkpatch KERNEL
"""
import os
import re
import shutil
import subprocess
import sys

import tree

# One source serves several kernels, and what programs include has no BIT().
IGNORED = '--ignore=LINUX_VERSION_CODE,CONSTANT_COMPARISON,BIT_MACRO'
HERE = os.path.dirname(os.path.abspath(__file__))
# of kbuild, sparse: "file.c:1:2: error: ..."; of checkpatch.pl --terse: "file.c:1: WARNING:TYPE: ..."
COMPLAINT = re.compile(r'(?m)^(?:.*/)?([\w.-]+):(\d+):(?:\d+:)? ((?:fatal )?(?:error|warning|ERROR|WARNING|CHECK)\b.*)$')


def run(script, *arguments):
    result = subprocess.run([os.path.join(HERE, '../vm', script), *arguments], capture_output=True, text=True)
    if result.returncode == tree.SKIP:
        tree.skip(result.stdout.strip().removeprefix('SKIP: '))
    return result


def folders(root):
    return sorted({os.path.dirname(p) for p in tree.under(root, 'kmod', 'Kbuild')})


def complaints(folder, text, ours):
    """What is said of the folder's own files; sparse does not like all of the kernel's headers."""
    return [f'{folder}/{name}:{line}: {what}' for name, line, what in COMPLAINT.findall(text) if name in ours]


def check_with(tool, kernel):
    def check_folder(root, folder):
        sources = [p for p in tree.under(root, folder, '.c', '.h') if os.path.dirname(p) == folder]
        paths = [os.path.join(root, p) for p in sources]
        if tool == 'checkpatch':
            result = run('checkpatch.sh', '--no-tree', '--strict', '--terse', '--show-types', '--no-summary', IGNORED,
                         '-f', *paths)
        elif tool == 'sparse':
            result = run('module.sh', kernel, os.path.join(root, folder), 'C=2', 'CF=-D__CHECK_ENDIAN__')
        else:
            result = run('module.sh', kernel, os.path.join(root, folder))
        text = result.stdout + result.stderr
        said = complaints(folder, text, {os.path.basename(p) for p in sources})
        return said or ([f'{folder}: {tool} ended with {result.returncode}: {text}'] if result.returncode else [])

    def check(root):
        return sum((check_folder(root, folder) for folder in folders(root)), [])
    return check


GPL = '// SPDX-License-Identifier: GPL-2.0-' + 'only\n'
HEAD = GPL + '#include <linux/module.h>\n\n'
TAIL = '\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("Bad");\n'
BAD = {
    'build': {
        'kmod/bad/Kbuild': ('obj-m := bad.o\n', None),
        'kmod/bad/bad.c': (HEAD + 'int undeclared(void)\n{\n\treturn 0;\n}\n' + TAIL, r'bad\.c:4: error: no previous prototype'),
    },
    'sparse': {
        'kmod/bad/Kbuild': ('obj-m := user.o endian.o\n', None),
        'kmod/bad/user.c': (HEAD + 'static int __used f(int __user *p)\n{\n\treturn *p;\n}\n' + TAIL,
                            r'user\.c:6: warning: dereference of noderef'),
        'kmod/bad/endian.c': (HEAD + 'static int __used f(__be16 x)\n{\n\treturn x;\n}\n' + TAIL,
                              r'endian\.c:6: warning: incorrect type in return'),
    },
    'checkpatch': {
        'kmod/bad/Kbuild': ('obj-m := style.o strict.o\n', None),
        'kmod/bad/style.c': (HEAD + 'static int f(int x)\n{\n\tif (x) return 0;\n\treturn 1;\n}\n' + TAIL,
                             r'style\.c:6: ERROR:TRAILING_STATEMENTS'),
        'kmod/bad/strict.c': (HEAD + 'static int f(void)\n{\n\n\treturn 1;\n}\n' + TAIL, r'strict\.c:6: CHECK:BRACES'),
    },
}

if __name__ == '__main__':
    root, tool, kernel = sys.argv[1:]
    if tool == 'sparse' and not shutil.which('sparse'):
        tree.skip('no sparse here; make check installs it')
    tree.main(check_with(tool, kernel), BAD[tool], root)
