/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device that one program drives, and who has it.
 *
 * struct um_device lives as long as anything refers to it: the driver, the open control node,
 * each mapping. Once its driver is gone (pdev is NULL) it is a husk: all that is left is to
 * answer -ENODEV, and to give back the locked memory that was counted.
 *
 * um->lock covers all of it. It is taken within mmap_lock (mmap, faults) and within the locks of
 * the device and of UIO, and never held while memory of a program is touched: so nobody can make
 * remove() wait.
 */
#ifndef UM_H
#define UM_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/uio_driver.h>
#include <linux/xarray.h>

#include "uio_msix.h"

#ifndef CONFIG_64BIT
#error "an offset of mmap has more bits than a 32-bit kernel gives it"
#endif

#define UM_BARS PCI_STD_NUM_BARS

/* mmap's offset, from this bit on: the number of a region, or behind those, of DMA memory. */
#define UM_INDEX_SHIFT	40
#define UM_DMA_FIRST	16

enum um_owner {
	UM_NOBODY,
	UM_CONTROL,	/* /dev/uio_msix/BDF */
	UM_UIO,		/* /dev/uioN */
};

enum um_cached {
	UM_UNUSED,
	UM_UNCACHED,
	UM_WC,
};

/* One way that a BAR appears in a file: from this page of it on. What a mapping refers to. */
struct um_window {
	struct um_device *um;
	unsigned int bar;
	pgoff_t base;
};

struct um_bar {
	void __iomem *io;
	enum um_cached cached;
	struct um_window uncached, wc;
};

struct um_vector {
	struct um_device *um;
	struct eventfd_ctx __rcu *event;
	unsigned long pending;	/* bit 0: came while there was no event */
	int irq;
};

struct um_device {
	struct kref ref;
	struct mutex lock;		/* of all below */
	struct pci_dev *pdev;
	struct miscdevice misc;
	char name[32], node[32];

	atomic_t owner;			/* enum um_owner */
	bool over;			/* the owner has lost it: unplugged, unbound, asleep */
	bool unclean;			/* not reset since an owner had it */
	bool blocked;			/* somebody else resets it */
	struct task_struct *resetter;	/* who is not somebody else */
	struct address_space *mapping;	/* of the owner's open file */
	struct um_bar bars[UM_BARS];
	unsigned int table_bar;		/* of MSI-X: asked once, a dead device says anything */
	u64 table_start, table_end;

	int kind;			/* of interrupts, UIO_MSIX_INTX ..., -1 for none */
	struct um_vector *vectors;
	unsigned int n_vectors;
	struct eventfd_ctx *gone;
	spinlock_t intx_lock;		/* of what the handler of INTx changes too */
	bool intx_masked, intx_shared;

	struct xarray dma;
	u64 dma_used;
	struct page *scratch;		/* what mapped DMA memory becomes when it is over */
	unsigned int dma_bits;
	u32 dma_next;
	u64 old_mask, old_coherent_mask; /* of who had the device before */
	unsigned int old_seg_size;
	unsigned long old_seg_boundary;

	bool uio_on;
	struct uio_info uio;
	struct um_window uio_maps[MAX_UIO_MAPS];
};

/* main.c */
extern bool um_uio_wanted;
bool um_kind_allowed(int kind);
void um_get(struct um_device *um);
void um_put(struct um_device *um);
int um_take(struct um_device *um, enum um_owner who, struct address_space *mapping);
void um_give_back(struct um_device *um);
int um_lock(struct um_device *um);
int um_reset(struct um_device *um);

/* control.c */
extern const struct file_operations um_fops;

/* region.c */
bool um_is_mappable(struct um_device *um, unsigned int bar);
void um_bars_init(struct um_device *um);
void um_bars_unused(struct um_device *um);
void um_bars_zap(struct um_device *um);
void um_region(struct um_device *um, struct uio_msix_region *region);
int um_read(struct um_device *um, struct uio_msix_access *access);
int um_write(struct um_device *um, const struct uio_msix_access *access);
int um_bar_mmap(struct um_window *window, struct vm_area_struct *vma, bool wc);
int um_region_mmap(struct um_device *um, struct vm_area_struct *vma);

/* irq.c */
unsigned int um_irq_count(struct um_device *um, int kind);
int um_irq_enable(struct um_device *um, int kind, unsigned int least, unsigned int *available);
void um_irq_disable(struct um_device *um);
int um_irq_swap(struct um_device *um, unsigned int start, unsigned int count,
		struct eventfd_ctx **events);
int um_intx_mask(struct um_device *um, bool masked);
void um_intx_restore(struct um_device *um);

/* dma.c */
u64 um_dma_max(void);
int um_dma_alloc(struct um_device *um, struct uio_msix_dma_alloc *alloc);
int um_dma_pin(struct um_device *um, struct uio_msix_dma_pin *pin,
	       struct uio_msix_segment **segments);
int um_dma_free(struct um_device *um, u32 id);
int um_dma_mmap(struct um_device *um, struct vm_area_struct *vma);
int um_dma_bits(struct um_device *um, unsigned int bits);
int um_dma_bits_reset(struct um_device *um);
void um_dma_stop(struct um_device *um);
void um_dma_forget(struct um_device *um);

/* uio.c */
int um_uio_register(struct um_device *um);
void um_uio_unregister(struct um_device *um);

#endif
