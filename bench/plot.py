# SPDX-License-Identifier: BSD-2-Clause
"""A bar plot as SVG, with nothing but the standard library."""
from html import escape

COLOURS = {'veth': '#888888', 'bridge': '#888888', 'openvpn': '#d9822b', 'qemu-storage-daemon': '#d9822b', 'DPDK': '#d9822b',
           'wireguard-go': '#8a1c1c', 'sluice': '#1f6fb2'}
ROW, LABEL, BAR, VALUE, GAP = 18, 250, 320, 190, 34  # px


def text(x, y, words, more=''):
    return f'<text x="{x}" y="{y}" {more}>{escape(words)}</text>'


def bars(path, title, notes, panels):
    """Horizontal bars: @panels is [(title, [(name, median, min, max, what it says)])]; whiskers from min to max."""
    out, y = [text(10, 24, title, 'font-size="16" font-weight="bold"')], 28
    for note in notes:
        y += 16
        out.append(text(10, y, note, 'fill="#555"'))
    for head, rows in panels:
        y += GAP
        out.append(text(10, y - 8, head, 'font-weight="bold"'))
        scale = BAR / max([row[3] for row in rows] or [1])
        for name, median, low, high, says in rows:
            colour = next((c for word, c in COLOURS.items() if name.startswith(word)), '#555555')
            middle = y + ROW / 2
            out += [text(LABEL - 8, y + 13, name, 'text-anchor="end"'),
                    f'<rect x="{LABEL}" y="{y + 2}" width="{median * scale:.1f}" height="{ROW - 5}" fill="{colour}"/>',
                    f'<path d="M{LABEL + low * scale:.1f} {middle}H{LABEL + high * scale:.1f}" stroke="#000"/>',
                    text(LABEL + BAR + 8, y + 13, says)]
            y += ROW
    size = f'width="{LABEL + BAR + VALUE}" height="{y + 12}"'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n'
                    '<rect width="100%" height="100%" fill="#fff"/>\n' + '\n'.join(out) + '\n</svg>\n')
