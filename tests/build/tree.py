# SPDX-License-Identifier: BSD-2-Clause
"""What the checks of this folder share: the files of the tree, and a proof that each check can fail."""
import os
import re
import subprocess
import sys
import tempfile

SKIP = 77  # what meson takes for "could not run here"


def tracked(root):
    """Paths of the project's own files, relative to root: git's idea of them, else all there are."""
    git = ['git', '-c', 'safe.directory=*', '-C', root]  # CI may run as another user than its checkout's
    try:
        if not os.path.exists(os.path.join(root, '.git')):
            raise FileNotFoundError
        out = subprocess.run(git + ['ls-files', '-z', '-co', '--exclude-standard'], capture_output=True, check=True)
        paths = set(out.stdout.decode().split('\0'))
    except (OSError, subprocess.CalledProcessError):
        paths = set()
        for folder, folders, names in os.walk(root):
            folders[:] = [f for f in folders if f not in ('.git', 'build', '__pycache__')]
            paths.update(os.path.relpath(os.path.join(folder, n), root) for n in names)
    return sorted(p for p in paths if os.path.isfile(os.path.join(root, p)))


def under(root, folder, *endings):
    """Those of them in a folder whose names end in one of the endings."""
    return [p for p in tracked(root) if p.startswith(folder + '/') and p.endswith(endings)]


def read(root, path):
    """The text of a file; empty for one that is not text."""
    try:
        with open(os.path.join(root, path), encoding='utf-8') as f:
            return f.read()
    except UnicodeDecodeError:
        return ''


def skip(reason):
    print('SKIP:', reason)
    sys.exit(SKIP)


def _prove(check, bad):
    """bad: path -> (text, what the check must say of it; None where it must say nothing)."""
    with tempfile.TemporaryDirectory() as root:
        for path, (text, _) in bad.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), 'w', encoding='utf-8') as f:
                f.write(text)
        said = check(root)
    missed = [want for _, want in bad.values() if want and not any(re.search(want, s) for s in said)]
    wrong = [s for s in said if not any(want and re.search(want, s) for _, want in bad.values())]
    for want in missed:
        print('self-test: the check did not find:', want)
    for s in wrong:
        print('self-test: the check complains for nothing:', s)
    return not missed and not wrong


def main(check, bad, root):
    """Prove on a small bad tree that the check can fail, then hold the real tree to it."""
    if not _prove(check, bad):
        sys.exit(2)
    problems = check(root)
    for p in problems:
        print(p)
    print(f'{len(problems)} problems')
    sys.exit(1 if problems else 0)
