/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR BSD-2-Clause) */
/*
 * uio_msix: a PCI device in the hands of one program, without an IOMMU.
 *
 * /dev/uio_msix/BDF (0000:00:03.0, say) is the device: the open file names it, no call does. One
 * program has it at a time; opening it needs CAP_SYS_RAWIO, and gives -EBUSY while it is open, or
 * its /dev/uioN is. A file that was opened may be handed on: the last reference closes it, and a
 * mapping is one.
 *
 * Each structure begins with argsz, its size as the caller knows it, and flags; what is not named
 * below must be zero, or the call is refused with -EINVAL, as an argsz that is too small is; a
 * larger structure is welcome if what is behind is zero, else -E2BIG (what is behind an array is
 * not looked at). All calls return 0 or more, or -1 and an errno; -ENODEV, from all but the
 * first, when the device is gone (unplugged, unbound) or was taken away (the machine went to
 * sleep): close the file then. Sizes are bytes. What is "(out)" is filled in by the kernel. For
 * 64-bit programs.
 */
#ifndef UIO_MSIX_H
#define UIO_MSIX_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define UIO_MSIX_TYPE 0xb5

/*
 * UIO_MSIX_GET_VERSION: no argument. Returns UIO_MSIX_VERSION. It grows when something is added;
 * nothing is ever taken away.
 */
#define UIO_MSIX_VERSION 1
#define UIO_MSIX_GET_VERSION _IO(UIO_MSIX_TYPE, 0)

/*
 * UIO_MSIX_GET_INFO
 * @flags: (out) UIO_MSIX_INFO_*
 * @dma_bits: (out) how many bits of an address the device is taken to have
 * @n_regions, @n_irqs: (out) of the enums below that this kernel knows
 * @dma_max: (out) bytes of DMA memory that one program may have, allocated and pinned together
 */
struct uio_msix_info {
	__u32 argsz;
	__u32 flags;
	__u32 n_regions;
	__u32 n_irqs;
	__u32 dma_bits;
	__u32 reserved;
	__u64 dma_max;
};

#define UIO_MSIX_INFO_RESET   (1 << 0) /* the kernel has a way to reset it */
#define UIO_MSIX_INFO_UNCLEAN (1 << 1) /* not reset since its last user: see UIO_MSIX_BUS_MASTER */
#define UIO_MSIX_INFO_UIO     (1 << 2) /* it is a /dev/uioN too */
#define UIO_MSIX_GET_INFO     _IO(UIO_MSIX_TYPE, 1)

enum {
	UIO_MSIX_BAR0,
	UIO_MSIX_CONFIG = 6, /* configuration space */
	UIO_MSIX_REGIONS
};

/*
 * UIO_MSIX_GET_REGION
 * @flags: (out) UIO_MSIX_REGION_*
 * @index: which
 * @size: (out) 0 when there is none
 * @offset: (out) for mmap(2) of its first byte, with MAP_SHARED; uncached
 * @wc_offset: (out) the same, write-combining; 0 where it is not prefetchable, or holds the
 *             MSI-X table. A BAR is mapped one way or the other (-EBUSY) until the file is closed
 * @hole, @hole_size: (out) whole pages of it that cannot be mapped: the MSI-X table lies there
 *
 * Reset, sleep, unbinding and unplugging take mappings of BARs away. Whoever touches one then
 * gets SIGBUS; after a reset it comes back.
 */
struct uio_msix_region {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 reserved;
	__u64 size;
	__u64 offset;
	__u64 wc_offset;
	__u64 hole;
	__u64 hole_size;
};

#define UIO_MSIX_REGION_READ  (1 << 0)
#define UIO_MSIX_REGION_WRITE (1 << 1)
#define UIO_MSIX_REGION_MMAP  (1 << 2) /* the I/O ports and the part of a page are not */
#define UIO_MSIX_REGION_IO    (1 << 3) /* I/O ports */
#define UIO_MSIX_GET_REGION   _IO(UIO_MSIX_TYPE, 2)

/*
 * UIO_MSIX_READ, UIO_MSIX_WRITE: one register
 * @index: of its region
 * @width: 1, 2, 4 bytes, or 8 in BARs that are memory; 8 is two accesses of 4, the lower first
 * @offset: in the region, a multiple of @width
 * @value: (out for READ) as the processor sees it; no more than fits in @width
 *
 * What may be written of configuration space is what the kernel does not manage: the status
 * register, cache line size, latency timer, interrupt line; of the capabilities, vendor-specific
 * ones; of PCI Express, the device status; of AER, the two status registers. Of BARs, all but the
 * MSI-X table. The rest is -EPERM. -EBUSY for a BAR that is mapped write-combining (and the other
 * way round). -EAGAIN while somebody else resets the device, from all calls that touch it: try
 * again.
 */
struct uio_msix_access {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 width;
	__u64 offset;
	__u64 value;
};

#define UIO_MSIX_READ  _IO(UIO_MSIX_TYPE, 3)
#define UIO_MSIX_WRITE _IO(UIO_MSIX_TYPE, 4)

enum {
	UIO_MSIX_INTX,
	UIO_MSIX_MSI,
	UIO_MSIX_MSIX,
	UIO_MSIX_GONE, /* one event: signalled when from now on calls give -ENODEV */
	UIO_MSIX_IRQS
};

/*
 * UIO_MSIX_GET_IRQ
 * @index: kind
 * @count: (out) vectors of it that the device has and the module's intr_mode allows
 * @enabled: (out) how many are on
 */
struct uio_msix_irq {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 count;
	__u32 enabled;
	__u32 reserved;
};

#define UIO_MSIX_GET_IRQ _IO(UIO_MSIX_TYPE, 5)

/*
 * UIO_MSIX_SET_IRQS: wire vectors to eventfds
 * @index: kind; of the first three only one is on at a time (-EBUSY)
 * @start, @count: vectors; @count 0 turns the kind off, @start is 0 then
 * @available: (out) with -ENOSPC: how many the machine has for it
 * @fds: an eventfd for each, -1 for none. The kernel keeps a reference; the descriptor may be
 *       closed
 *
 * All or nothing. The first call for a kind requests all its vectors, or as many as the machine
 * has, but not fewer than @start + @count. A vector stays requested while its eventfd changes:
 * what comes without one is signalled when it gets one. Turned off, what was not signalled is
 * lost. INTx masks itself when it comes.
 */
struct uio_msix_set_irqs {
	__u32 argsz; /* with @fds */
	__u32 flags;
	__u32 index;
	__u32 start;
	__u32 count;
	__u32 available;
	__s32 fds[];
};

#define UIO_MSIX_IRQS_MAX 2048 /* PCI 3.0, 6.8.2.3 */
#define UIO_MSIX_SET_IRQS _IO(UIO_MSIX_TYPE, 6)

/*
 * UIO_MSIX_MASK_INTX
 * @flags: UIO_MSIX_MASK to mask it, 0 to unmask
 *
 * -EINVAL when INTx is not wired. Unmasked while it is still asserted, it comes at once.
 */
struct uio_msix_mask {
	__u32 argsz;
	__u32 flags;
};

#define UIO_MSIX_MASK	   (1 << 0)
#define UIO_MSIX_MASK_INTX _IO(UIO_MSIX_TYPE, 7)

/*
 * UIO_MSIX_SET_DMA_BITS: what the device can address, when it is less than it seems
 * @bits: 16 to 64, e.g. 28
 *
 * -EBUSY while there is DMA memory; -EIO when the machine has no such memory.
 */
struct uio_msix_dma_bits {
	__u32 argsz;
	__u32 flags;
	__u32 bits;
	__u32 reserved;
};

#define UIO_MSIX_SET_DMA_BITS _IO(UIO_MSIX_TYPE, 8)

/*
 * UIO_MSIX_DMA_ALLOC: memory that processor and device see alike, at once (coherent), zeroed
 * @id: (out) for UIO_MSIX_DMA_FREE; never 0
 * @size: a multiple of the page's; in one piece for the device
 * @iova: (out) where the device sees it
 * @offset: (out) for mmap(2), with MAP_SHARED. When the device is gone, what is mapped can still
 *          be read and written, but means nothing: all its pages are one
 *
 * It counts as locked memory of the caller. -ENOMEM when there is no such piece, more is locked
 * than RLIMIT_MEMLOCK allows (without CAP_IPC_LOCK), or more than dma_max.
 */
struct uio_msix_dma_alloc {
	__u32 argsz;
	__u32 flags;
	__u32 id;
	__u32 reserved;
	__u64 size;
	__u64 iova;
	__u64 offset;
};

#define UIO_MSIX_DMA_ALLOC _IO(UIO_MSIX_TYPE, 9)

/*
 * UIO_MSIX_DMA_PIN: let the device reach memory of the caller
 * @id: (out) for UIO_MSIX_DMA_FREE; never 0
 * @n_segments: of @segments there is room for; (out) how many there are, with -ENOSPC how many
 *              there would have to be
 * @vaddr, @size: multiples of the page's; writable memory
 * @segments: (out) the pieces, in order, as the device sees them
 *
 * The pages stay pinned, and what the device reaches, until UIO_MSIX_DMA_FREE or the last close:
 * munmap(2), mremap(2) and mmap(2) over them change what the program sees there, not the device.
 * fork(2) copies them for the child, there and then: MADV_DONTFORK spares that.
 * -EREMOTE when the device cannot reach that memory itself, so that the kernel would copy it back
 * and forth (swiotlb; memory beyond dma_bits; encrypted memory): use UIO_MSIX_DMA_ALLOC. -EFAULT
 * when it is not mapped, not writable, or a file's on a disk. -ENOMEM as for UIO_MSIX_DMA_ALLOC.
 */
struct uio_msix_segment {
	__u64 iova;
	__u64 size;
};

struct uio_msix_dma_pin {
	__u32 argsz; /* with @segments */
	__u32 flags;
	__u32 id;
	__u32 n_segments;
	__u64 vaddr;
	__u64 size;
	struct uio_msix_segment segments[];
};

#define UIO_MSIX_DMA_PIN _IO(UIO_MSIX_TYPE, 10)

/*
 * UIO_MSIX_DMA_FREE: give one back; the device must use it no more
 * @id: -ENOENT when there is none. Mappings of allocated memory give SIGBUS from then on
 */
struct uio_msix_dma_free {
	__u32 argsz;
	__u32 flags;
	__u32 id;
	__u32 reserved;
};

#define UIO_MSIX_DMA_FREE _IO(UIO_MSIX_TYPE, 11)

/*
 * UIO_MSIX_BUS_MASTER: let the device do DMA and send MSI, or not. Off after open
 * @flags: UIO_MSIX_ON, UIO_MSIX_FORCE
 *
 * -EUCLEAN when the device was not reset since its last user, though that was tried when it was
 * closed or unbound, and UIO_MSIX_RESET has not worked either: it may still hold addresses of
 * memory that is somebody else's by now, and use them. UIO_MSIX_FORCE for who knows that it does
 * not.
 */
struct uio_msix_bus_master {
	__u32 argsz;
	__u32 flags;
};

#define UIO_MSIX_ON	     (1 << 0)
#define UIO_MSIX_FORCE	     (1 << 1)
#define UIO_MSIX_BUS_MASTER  _IO(UIO_MSIX_TYPE, 12)

/*
 * UIO_MSIX_RESET: the best function reset there is. Bus mastering is off afterwards; vectors stay
 * wired, DMA memory stays
 *
 * -ENOTTY when there is none; -EAGAIN when somebody else is at it: try again.
 */
struct uio_msix_reset {
	__u32 argsz;
	__u32 flags;
};

#define UIO_MSIX_RESET _IO(UIO_MSIX_TYPE, 13)

#endif
