// SPDX-License-Identifier: GPL-2.0-only
/* BARs and configuration space: reading and writing them by calls, and BARs by mappings. */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pci.h>

#include "compat.h"
#include "um.h"

#define UM_WC_SHIFT 39 /* of an offset of mmap; no larger BAR is mapped */

static u64 um_offset(unsigned int bar, bool wc)
{
	return (u64)bar << UM_INDEX_SHIFT | (u64)wc << UM_WC_SHIFT;
}

void um_bars_init(struct um_device *um)
{
	u32 where;

	um->table_bar = UM_BARS;
	if (um->pdev->msix_cap) {
		pci_read_config_dword(um->pdev, um->pdev->msix_cap + PCI_MSIX_TABLE, &where);
		um->table_bar = where & PCI_MSIX_TABLE_BIR;
		um->table_start = where & PCI_MSIX_TABLE_OFFSET;
		um->table_end = um->table_start +
				(u64)pci_msix_vec_count(um->pdev) * PCI_MSIX_ENTRY_SIZE;
	}
	for (unsigned int bar = 0; bar < UM_BARS; bar++) {
		um->bars[bar].uncached = (struct um_window){
			um, bar, um_offset(bar, false) >> PAGE_SHIFT
		};
		um->bars[bar].wc = (struct um_window){
			um, bar, um_offset(bar, true) >> PAGE_SHIFT
		};
	}
}

static bool um_is_memory(struct um_device *um, unsigned int bar)
{
	return pci_resource_flags(um->pdev, bar) & IORESOURCE_MEM;
}

/* What lies in the same page as a smaller BAR may be another device's. */
bool um_is_mappable(struct um_device *um, unsigned int bar)
{
	resource_size_t len = pci_resource_len(um->pdev, bar);

	return um_is_memory(um, bar) && len && len <= 1ULL << UM_WC_SHIFT &&
	       PAGE_ALIGNED(len) && PAGE_ALIGNED(pci_resource_start(um->pdev, bar));
}

/* The kernel has mapped the table, uncached, and what is cached of a BAR is one thing for all. */
static bool um_can_combine(struct um_device *um, unsigned int bar)
{
	return pci_resource_flags(um->pdev, bar) & IORESOURCE_PREFETCH && um->table_bar != bar;
}

/* The MSI-X table's bytes in this BAR (PCI 3.0, 6.8.2), none of them if it is in another. */
static void um_table(struct um_device *um, unsigned int bar, u64 *start, u64 *end)
{
	bool here = um->table_bar == bar;

	*start = here ? um->table_start : 0;
	*end = here ? um->table_end : 0;
}

static void um_hole(struct um_device *um, unsigned int bar, u64 *start, u64 *end)
{
	u64 len = pci_resource_len(um->pdev, bar);

	um_table(um, bar, start, end);
	*start = min(round_down(*start, PAGE_SIZE), len);
	*end = min(round_up(*end, PAGE_SIZE), len);
}

void um_region(struct um_device *um, struct uio_msix_region *region)
{
	unsigned int bar = region->index;
	u64 hole_end;

	region->flags = UIO_MSIX_REGION_READ | UIO_MSIX_REGION_WRITE;
	region->offset = 0;
	region->wc_offset = 0;
	region->hole = 0;
	region->hole_size = 0;
	if (bar == UIO_MSIX_CONFIG) {
		region->size = um->pdev->cfg_size;
		return;
	}
	region->size = pci_resource_len(um->pdev, bar);
	if (!region->size) {
		region->flags = 0;
		return;
	}
	if (!um_is_memory(um, bar))
		region->flags |= UIO_MSIX_REGION_IO;
	if (!um_is_mappable(um, bar))
		return;
	region->flags |= UIO_MSIX_REGION_MMAP;
	region->offset = um_offset(bar, false);
	if (um_can_combine(um, bar))
		region->wc_offset = um_offset(bar, true);
	um_hole(um, bar, &region->hole, &hole_end);
	region->hole_size = hole_end - region->hole;
	if (!region->hole_size)
		region->hole = 0;
}

/*
 * Configuration space.
 */

static bool um_within(int at, int start, int len)
{
	return at >= start && at < start + len;
}

/*
 * A vendor-specific capability says how long it is (PCI 3.0, appendix H). One that lies must not
 * make others writable: what counts is the last capability that begins before.
 */
static bool um_is_vendors(struct pci_dev *pdev, int at)
{
	u8 pos, id, len, last = 0;

	if (at >= PCI_CFG_SPACE_SIZE || !pci_find_capability(pdev, PCI_CAP_ID_VNDR))
		return false;
	pci_read_config_byte(pdev, PCI_CAPABILITY_LIST, &pos);
	/* Each is 4 bytes at least, behind the header. */
	for (int n = 0; n < PCI_CFG_SPACE_SIZE / 4; n++) {
		pos &= ~3;
		if (pos < PCI_STD_HEADER_SIZEOF)
			break;
		if (pos <= at && pos > last)
			last = pos;
		pci_read_config_byte(pdev, pos + PCI_CAP_LIST_NEXT, &pos);
	}
	if (!last)
		return false;
	pci_read_config_byte(pdev, last + PCI_CAP_LIST_ID, &id);
	pci_read_config_byte(pdev, last + PCI_CAP_FLAGS, &len);
	return id == PCI_CAP_ID_VNDR && um_within(at, last + 3, len - 3);
}

/* All else is the kernel's. */
static bool um_config_writable(struct pci_dev *pdev, int at)
{
	int aer = pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_ERR);
	int exp = pci_pcie_cap(pdev);

	return um_within(at, PCI_STATUS, 2) || at == PCI_CACHE_LINE_SIZE ||
	       at == PCI_LATENCY_TIMER || at == PCI_INTERRUPT_LINE ||
	       (exp && um_within(at, exp + PCI_EXP_DEVSTA, 2)) ||
	       (aer && um_within(at, aer + PCI_ERR_UNCOR_STATUS, 4)) ||
	       (aer && um_within(at, aer + PCI_ERR_COR_STATUS, 4)) ||
	       um_is_vendors(pdev, at);
}

static int um_config_read(struct um_device *um, struct uio_msix_access *access)
{
	u32 value = 0;
	u16 word;
	u8 byte;

	switch (access->width) {
	case 1:
		pci_read_config_byte(um->pdev, access->offset, &byte);
		value = byte;
		break;
	case 2:
		pci_read_config_word(um->pdev, access->offset, &word);
		value = word;
		break;
	default:
		pci_read_config_dword(um->pdev, access->offset, &value);
		break;
	}
	access->value = value;
	return 0;
}

static int um_config_write(struct um_device *um, const struct uio_msix_access *access)
{
	for (unsigned int i = 0; i < access->width; i++)
		if (!um_config_writable(um->pdev, access->offset + i))
			return -EPERM;
	switch (access->width) {
	case 1:
		pci_write_config_byte(um->pdev, access->offset, access->value);
		break;
	case 2:
		pci_write_config_word(um->pdev, access->offset, access->value);
		break;
	default:
		pci_write_config_dword(um->pdev, access->offset, access->value);
		break;
	}
	return 0;
}

/*
 * BARs by calls.
 */

static void __iomem *um_bar_io(struct um_device *um, unsigned int index)
{
	struct um_bar *bar = &um->bars[index];

	if (bar->io)
		return bar->io;
	if (bar->cached == UM_WC)
		return IOMEM_ERR_PTR(-EBUSY);
	bar->io = pci_iomap(um->pdev, index, 0);
	if (!bar->io)
		return IOMEM_ERR_PTR(-ENOMEM);
	bar->cached = UM_UNCACHED;
	return bar->io;
}

/* A whole register in the region, and of a width that it has. */
static int um_check_access(struct um_device *um, const struct uio_msix_access *access)
{
	bool config = access->index == UIO_MSIX_CONFIG;
	u64 len = config ? um->pdev->cfg_size : pci_resource_len(um->pdev, access->index);

	if (access->offset >= len || access->width > len - access->offset ||
	    access->offset % access->width)
		return -EINVAL;
	if (access->width == 8 && (config || !um_is_memory(um, access->index)))
		return -EINVAL;
	return 0;
}

int um_read(struct um_device *um, struct uio_msix_access *access)
{
	void __iomem *io;
	int ret = um_check_access(um, access);

	if (ret)
		return ret;
	if (access->index == UIO_MSIX_CONFIG)
		return um_config_read(um, access);
	io = um_bar_io(um, access->index);
	if (IS_ERR(io))
		return PTR_ERR(io);
	io += access->offset;
	switch (access->width) {
	case 1:
		access->value = ioread8(io);
		break;
	case 2:
		access->value = ioread16(io);
		break;
	case 4:
		access->value = ioread32(io);
		break;
	default:
		access->value = ioread32(io);
		access->value |= (u64)ioread32(io + 4) << 32;
		break;
	}
	return 0;
}

int um_write(struct um_device *um, const struct uio_msix_access *access)
{
	u64 start, end;
	void __iomem *io;
	int ret = um_check_access(um, access);

	if (ret)
		return ret;
	if (access->index == UIO_MSIX_CONFIG)
		return um_config_write(um, access);
	um_table(um, access->index, &start, &end);
	if (access->offset < end && access->offset + access->width > start)
		return -EPERM;
	io = um_bar_io(um, access->index);
	if (IS_ERR(io))
		return PTR_ERR(io);
	io += access->offset;
	switch (access->width) {
	case 1:
		iowrite8(access->value, io);
		break;
	case 2:
		iowrite16(access->value, io);
		break;
	case 4:
		iowrite32(access->value, io);
		break;
	default:
		iowrite32(lower_32_bits(access->value), io);
		iowrite32(upper_32_bits(access->value), io + 4);
		break;
	}
	return 0;
}

/*
 * BARs by mappings.
 */

static void um_vm_open(struct vm_area_struct *vma)
{
	struct um_window *window = vma->vm_private_data;

	um_get(window->um);
}

static void um_vm_close(struct vm_area_struct *vma)
{
	struct um_window *window = vma->vm_private_data;

	um_put(window->um);
}

static vm_fault_t um_vm_fault(struct vm_fault *vmf)
{
	struct um_window *window = vmf->vma->vm_private_data;
	struct um_device *um = window->um;
	u64 at = (u64)(vmf->pgoff - window->base) << PAGE_SHIFT;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	u64 start, end;

	if (um_lock(um))
		return VM_FAULT_SIGBUS;
	um_hole(um, window->bar, &start, &end);
	if (at < pci_resource_len(um->pdev, window->bar) && (at < start || at >= end))
		ret = vmf_insert_pfn(vmf->vma, vmf->address,
				     PHYS_PFN(pci_resource_start(um->pdev, window->bar) + at));
	mutex_unlock(&um->lock);
	return ret;
}

static const struct vm_operations_struct um_vm_ops = {
	.open = um_vm_open,
	.close = um_vm_close,
	.fault = um_vm_fault,
};

/* What a processor caches of a page is one thing for all who map it. */
static int um_bar_cached(struct um_device *um, unsigned int index, bool wc)
{
	struct um_bar *bar = &um->bars[index];
	int ret = 0;

	if (bar->cached != UM_UNUSED)
		return bar->cached == (wc ? UM_WC : UM_UNCACHED) ? 0 : -EBUSY;
	if (wc)
		ret = arch_io_reserve_memtype_wc(pci_resource_start(um->pdev, index),
						 pci_resource_len(um->pdev, index));
	if (!ret)
		bar->cached = wc ? UM_WC : UM_UNCACHED;
	return ret;
}

/* The owner's session is over: what it did with BARs no longer matters. */
void um_bars_unused(struct um_device *um)
{
	for (unsigned int i = 0; i < UM_BARS; i++) {
		struct um_bar *bar = &um->bars[i];

		if (bar->cached == UM_WC)
			arch_io_free_memtype_wc(pci_resource_start(um->pdev, i),
						pci_resource_len(um->pdev, i));
		if (bar->io)
			pci_iounmap(um->pdev, bar->io);
		bar->io = NULL;
		bar->cached = UM_UNUSED;
	}
}

/* Whoever touches one that is mapped faults. */
void um_bars_zap(struct um_device *um)
{
	if (um->mapping)
		unmap_mapping_range(um->mapping, 0, um_offset(UM_BARS, false), 1);
}

/* Under the lock. The range is checked. Pages come when they are touched. */
int um_bar_mmap(struct um_window *window, struct vm_area_struct *vma, bool wc)
{
	int ret = um_bar_cached(window->um, window->bar, wc);

	if (ret)
		return ret;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTCOPY | VM_DONTDUMP);
	vm_flags_clear(vma, VM_MAYEXEC);
	vma->vm_page_prot = wc ? pgprot_writecombine(vma->vm_page_prot) :
				 pgprot_noncached(vma->vm_page_prot);
	vma->vm_private_data = window;
	vma->vm_ops = &um_vm_ops;
	um_get(window->um);
	return 0;
}

int um_region_mmap(struct um_device *um, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	unsigned int bar = offset >> UM_INDEX_SHIFT;
	bool wc = offset >> UM_WC_SHIFT & 1;
	u64 at = offset & ((1ULL << UM_WC_SHIFT) - 1);
	u64 len = vma->vm_end - vma->vm_start;
	u64 size, start, end;

	if (bar >= UM_BARS || !um_is_mappable(um, bar))
		return -EINVAL;
	if (wc && !um_can_combine(um, bar))
		return -EINVAL;
	size = pci_resource_len(um->pdev, bar);
	if (at >= size || len > size - at)
		return -EINVAL;
	um_hole(um, bar, &start, &end);
	if (at < end && at + len > start)
		return -EPERM;
	return um_bar_mmap(wc ? &um->bars[bar].wc : &um->bars[bar].uncached, vma, wc);
}
