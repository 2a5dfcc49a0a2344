# SPDX-License-Identifier: BSD-2-Clause
"""A made-up sysfs: a host bridge, two network cards that share a group, a disk, and two that are broken.

usage: pci_tree.py FOLDER NUMBER-OF-A-MOUNTED-DISK
"""
import os
import sys

root, mounted = sys.argv[1:]
E1000E = {0x00: '8680d310 07051000', 0x0b: '02', 0x12: 'a4fe', 0x16: 'a6fe', 0x18: '41c0', 0x1e: 'a8fe', 0x2c: '86800000', 0x34: 'c8',
          0x3d: '01', 0xa0: '11000480 03000000 03200000', 0xc8: '01d022c8 0020', 0xd0: '05e08000', 0xe0: '10a00100 c08c0010'}
RESOURCES = ['0xfea40000 0xfea5ffff 0x40200', '0xfea60000 0xfea7ffff 0x40200', '0xc040 0xc05f 0x40101', '0xfea80000 0xfea83fff 0x40200',
             '0x0 0x0 0x0', '0x0 0x0 0x0', '0xfea00000 0xfea3ffff 0x46200']


def put(path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(text if isinstance(text, bytes) else (text + '\n').encode())


def link(path, target):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(target, path)


def driver(name):
    put(f'bus/pci/drivers/{name}/unbind', '')


def device(address, ids, cls, config, bound=None, group=None):
    at = f'devices/pci0000:00/{address}'
    space = bytearray(256)
    for offset, text in config.items():
        value = bytes.fromhex(text)
        space[offset:offset + len(value)] = value
    put(f'{at}/config', bytes(space))
    for name, text in zip(('vendor', 'device', 'subsystem_vendor', 'subsystem_device'), (*ids, '0x8086', '0x0000')):
        put(f'{at}/{name}', text)
    for name, text in {'class': cls, 'revision': '0x00', 'resource': '\n'.join(RESOURCES), 'driver_override': '(null)', 'enable': '1',
                       'numa_node': '0', 'power_state': 'D0', 'reset_method': 'flr pm'}.items():
        put(f'{at}/{name}', text)
    link(f'bus/pci/devices/{address}', f'../../../devices/pci0000:00/{address}')
    if bound:
        driver(bound)
        link(f'{at}/driver', f'../../../bus/pci/drivers/{bound}')
    if group:
        link(f'{at}/iommu_group', f'../../../kernel/iommu_groups/{group}')
        link(f'kernel/iommu_groups/{group}/devices/{address}', f'../../../../devices/pci0000:00/{address}')
        put(f'kernel/iommu_groups/{group}/type', 'DMA-FQ')
    return at


put('bus/pci/drivers_probe', '')
os.makedirs(os.path.join(root, 'class/net'))
driver('vfio-pci')
driver('uio_pci_generic')
device('0000:00:00.0', ('0x8086', '0x29c0'), '0x060000', {0x00: '8680c029', 0x0b: '06'})
for address in ('0000:00:03.0', '0000:00:04.0'):
    device(address, ('0x8086', '0x10d3'), '0x020000', E1000E, 'e1000e', '7')
disk = device('0000:00:05.0', ('0x1b36', '0x0010'), '0x010802', {**E1000E, 0x00: '361b1000 07051000', 0x0b: '01'}, 'nvme', '8')
put(f'{disk}/nvme/nvme0/nvme0n1/dev', mounted)
link(f'{disk}/nvme/nvme0/nvme0n1/subsystem', '../../../../../../class/block')
device('0000:00:06.0', ('0x8086', '0x10d3'), '0x020000', {**E1000E, 0xa1: 'c8', 0xa4: '06'})
os.remove(os.path.join(root, device('0000:00:07.0', ('0x1', '0x2'), '0x020000', E1000E), 'vendor'))
