// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA memory: allocated by us and mapped by the program, or the program's and pinned. Both count
 * as its locked memory. Ids and offsets of mmap are ours; addresses are the DMA API's, never made
 * here.
 */
#include <linux/dma-map-ops.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "um.h"

#define UM_DMA_IDS XA_LIMIT(1, (1 << 20) - 1)

/* What would need syncing is refused: it is never copied, and may be mapped more than once. */
#define UM_DMA_ATTRS (DMA_ATTR_NO_WARN | DMA_ATTR_SKIP_CPU_SYNC)

static unsigned int dma_max_mb;
module_param(dma_max_mb, uint, 0444);
MODULE_PARM_DESC(dma_max_mb, "MiB of DMA memory that a program may have (half of the memory)");

/* When the device has been taken away, only mm and size still mean something. */
struct um_dma {
	struct mm_struct *mm;
	u64 size;
	void *cpu;		/* allocated: where the kernel sees it */
	dma_addr_t iova;
	struct page **pages;	/* pinned */
	struct sg_table table;
};

u64 um_dma_max(void)
{
	if (dma_max_mb)
		return (u64)dma_max_mb << 20;
	return (u64)totalram_pages() / 2 << PAGE_SHIFT;
}

int um_dma_bits(struct um_device *um, unsigned int bits)
{
	int ret = dma_set_mask_and_coherent(&um->pdev->dev, DMA_BIT_MASK(bits));

	if (!ret)
		um->dma_bits = bits;
	return ret;
}

/* Until its user says less. */
int um_dma_bits_reset(struct um_device *um)
{
	int ret = um_dma_bits(um, 64);

	return ret ? um_dma_bits(um, 32) : 0;
}

static u64 um_dma_offset(u32 id)
{
	return (u64)(UM_DMA_FIRST + id) << UM_INDEX_SHIFT;
}

/* Not under the lock: it takes that of the program's memory. */
static struct um_dma *um_dma_create(u64 size)
{
	struct um_dma *dma;

	if (!size || !PAGE_ALIGNED(size) || size > SIZE_MAX)
		return ERR_PTR(-EINVAL);
	if (size > um_dma_max())
		return ERR_PTR(-ENOMEM);
	dma = kzalloc(sizeof(*dma), GFP_KERNEL_ACCOUNT);
	if (!dma)
		return ERR_PTR(-ENOMEM);
	if (account_locked_vm(current->mm, size >> PAGE_SHIFT, true)) {
		kfree(dma);
		return ERR_PTR(-ENOMEM);
	}
	dma->size = size;
	dma->mm = current->mm;
	mmgrab(dma->mm);
	return dma;
}

static void um_dma_destroy(struct um_dma *dma)
{
	account_locked_vm(dma->mm, dma->size >> PAGE_SHIFT, false);
	mmdrop(dma->mm);
	kfree(dma);
}

static int um_dma_enter(struct um_device *um, struct um_dma *dma, u32 *id)
{
	int ret;

	if (dma->size > um_dma_max() - min(um->dma_used, um_dma_max()))
		return -ENOMEM;
	/* Not the same soon again: an old mapping would find another's memory. */
	ret = xa_alloc_cyclic(&um->dma, id, dma, UM_DMA_IDS, &um->dma_next, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		return ret == -EBUSY ? -ENOMEM : ret;
	um->dma_used += dma->size;
	return 0;
}

/* Under the lock. The device must not use it any more. */
static void um_dma_unmap(struct um_device *um, struct um_dma *dma)
{
	if (dma->cpu)
		dma_free_coherent(&um->pdev->dev, dma->size, dma->cpu, dma->iova);
	if (dma->pages) {
		dma_unmap_sgtable(&um->pdev->dev, &dma->table, DMA_BIDIRECTIONAL, UM_DMA_ATTRS);
		sg_free_table(&dma->table);
		unpin_user_pages_dirty_lock(dma->pages, dma->size >> PAGE_SHIFT, true);
		kvfree(dma->pages);
	}
	dma->cpu = NULL;
	dma->pages = NULL;
}

int um_dma_alloc(struct um_device *um, struct uio_msix_dma_alloc *alloc)
{
	struct um_dma *dma = um_dma_create(alloc->size);
	int ret;

	if (IS_ERR(dma))
		return PTR_ERR(dma);
	ret = um_lock(um);
	if (ret)
		goto destroy;
	ret = um_dma_enter(um, dma, &alloc->id);
	if (ret)
		goto unlock;
	dma->cpu = dma_alloc_coherent(&um->pdev->dev, dma->size, &dma->iova,
				      GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
	if (!dma->cpu) {
		xa_erase(&um->dma, alloc->id);
		um->dma_used -= dma->size;
		ret = -ENOMEM;
		goto unlock;
	}
	alloc->iova = dma->iova;
	alloc->offset = um_dma_offset(alloc->id);
	mutex_unlock(&um->lock);
	return 0;
unlock:
	mutex_unlock(&um->lock);
destroy:
	um_dma_destroy(dma);
	return ret;
}

/*
 * Pinned memory.
 */

/* Memory that no file system has to be asked about when its page has become dirty. */
static bool um_is_simple(struct page *page)
{
	struct folio *folio = page_folio(page);

	return folio_test_anon(folio) || folio_test_hugetlb(folio) || folio_test_swapbacked(folio);
}

static int um_pin(struct um_dma *dma, u64 vaddr)
{
	int n = dma->size >> PAGE_SHIFT, pinned = 0, ret = 0;

	dma->pages = kvmalloc_array(n, sizeof(*dma->pages), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!dma->pages)
		return -ENOMEM;
	while (pinned < n) {
		ret = pin_user_pages_fast(vaddr + ((u64)pinned << PAGE_SHIFT), n - pinned,
					  FOLL_WRITE | FOLL_LONGTERM, dma->pages + pinned);
		if (ret <= 0)
			break;
		pinned += ret;
	}
	ret = pinned == n ? 0 : ret == -ENOMEM || ret == -EINTR ? ret : -EFAULT;
	for (int i = 0; i < n && !ret; i++)
		if (!um_is_simple(dma->pages[i]))
			ret = -EFAULT;
	if (ret) {
		unpin_user_pages(dma->pages, pinned);
		kvfree(dma->pages);
		dma->pages = NULL;
	}
	return ret;
}

/* NULL where the device's addresses are the memory's. */
static struct iommu_domain *um_translates(struct device *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return domain && domain->type != IOMMU_DOMAIN_IDENTITY ? domain : NULL;
}

/* Where an address is not translated, the DMA API would complain aloud of one beyond the mask. */
static bool um_reaches(struct um_device *um, struct um_dma *dma)
{
	struct device *dev = &um->pdev->dev;

	if (um_translates(dev))
		return true;
	for (u64 i = 0; i < dma->size >> PAGE_SHIFT; i++)
		if (page_to_phys(dma->pages[i]) + PAGE_SIZE - 1 > dma_get_mask(dev))
			return false;
	return true;
}

/* Does the device see the memory itself, not a copy of swiotlb's? */
static bool um_is_direct(struct device *dev, struct um_dma *dma)
{
	struct iommu_domain *domain = um_translates(dev);
	struct scatterlist *sg;
	u64 at = 0;
	int i;

	if (!dev_is_dma_coherent(dev))
		return false;
	for_each_sgtable_dma_sg(&dma->table, sg, i) {
		/* Behind an IOMMU, 6.1 says that all memory needs it. */
		if (domain ? iommu_iova_to_phys(domain, sg_dma_address(sg)) !=
				     page_to_phys(dma->pages[at >> PAGE_SHIFT]) :
			     dma_need_sync(dev, sg_dma_address(sg)))
			return false;
		at += sg_dma_len(sg);
	}
	return true;
}

static int um_dma_map(struct um_device *um, struct um_dma *dma)
{
	struct device *dev = &um->pdev->dev;
	int ret;

	if (!um_reaches(um, dma))
		return -EREMOTE;
	ret = sg_alloc_table_from_pages(&dma->table, dma->pages, dma->size >> PAGE_SHIFT, 0,
					dma->size, GFP_KERNEL);
	if (ret)
		return ret;
	if (dma_map_sgtable(dev, &dma->table, DMA_BIDIRECTIONAL, UM_DMA_ATTRS)) {
		sg_free_table(&dma->table);
		return -EREMOTE;
	}
	if (um_is_direct(dev, dma))
		return 0;
	dma_unmap_sgtable(dev, &dma->table, DMA_BIDIRECTIONAL, UM_DMA_ATTRS);
	sg_free_table(&dma->table);
	return -EREMOTE;
}

/* What is side by side is one. */
static u32 um_segments(struct um_dma *dma, struct uio_msix_segment *segments, u32 room)
{
	u64 end = 0;
	u32 n = 0;
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(&dma->table, sg, i) {
		if (n && sg_dma_address(sg) == end) {
			if (n <= room)
				segments[n - 1].size += sg_dma_len(sg);
		} else {
			if (n < room)
				segments[n] = (struct uio_msix_segment){sg_dma_address(sg),
									sg_dma_len(sg)};
			n++;
		}
		end = sg_dma_address(sg) + sg_dma_len(sg);
	}
	return n;
}

static int um_dma_map_and_enter(struct um_device *um, struct um_dma *dma,
				struct uio_msix_dma_pin *pin, struct uio_msix_segment *segments)
{
	u32 room = pin->n_segments;
	int ret = um_lock(um);

	if (ret)
		return ret;
	ret = um_dma_map(um, dma);
	if (ret)
		goto unlock;
	pin->n_segments = um_segments(dma, segments, room);
	ret = pin->n_segments > room ? -ENOSPC : um_dma_enter(um, dma, &pin->id);
	if (ret) {
		dma_unmap_sgtable(&um->pdev->dev, &dma->table, DMA_BIDIRECTIONAL, UM_DMA_ATTRS);
		sg_free_table(&dma->table);
	}
unlock:
	mutex_unlock(&um->lock);
	return ret;
}

/* @segments: for kvfree(), whatever is returned */
int um_dma_pin(struct um_device *um, struct uio_msix_dma_pin *pin,
	       struct uio_msix_segment **segments)
{
	u32 room = min_t(u64, pin->n_segments, pin->size >> PAGE_SHIFT);
	struct um_dma *dma;
	int ret;

	if (!PAGE_ALIGNED(pin->vaddr) || pin->vaddr + pin->size < pin->vaddr)
		return -EINVAL;
	dma = um_dma_create(pin->size);
	if (IS_ERR(dma))
		return PTR_ERR(dma);
	pin->n_segments = room;
	*segments = kvcalloc(room + 1, sizeof(**segments),
			     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	ret = *segments ? um_pin(dma, pin->vaddr) : -ENOMEM;
	if (ret)
		goto destroy;
	ret = um_dma_map_and_enter(um, dma, pin, *segments);
	if (!ret)
		return 0;
	unpin_user_pages(dma->pages, dma->size >> PAGE_SHIFT);
	kvfree(dma->pages);
destroy:
	um_dma_destroy(dma);
	return ret;
}

/*
 * Both.
 */

int um_dma_free(struct um_device *um, u32 id)
{
	struct um_dma *dma;
	int ret = um_lock(um);

	if (ret)
		return ret;
	dma = xa_erase(&um->dma, id);
	if (dma) {
		if (um->mapping)
			unmap_mapping_range(um->mapping, um_dma_offset(id), dma->size, 1);
		um_dma_unmap(um, dma);
		um->dma_used -= dma->size;
	}
	mutex_unlock(&um->lock);
	if (!dma)
		return -ENOENT;
	um_dma_destroy(dma);
	return 0;
}

/* Under the lock: the device is quiet, or gone. What was counted stays until um_dma_forget(). */
void um_dma_stop(struct um_device *um)
{
	struct um_dma *dma;
	unsigned long id;

	if (um->mapping)
		unmap_mapping_range(um->mapping, um_dma_offset(0), 0, 1);
	xa_for_each(&um->dma, id, dma)
		um_dma_unmap(um, dma);
	um->dma_used = 0;
}

/* Not under the lock, by the last who has the file. */
void um_dma_forget(struct um_device *um)
{
	struct um_dma *dma;
	unsigned long id;

	xa_for_each(&um->dma, id, dma) {
		xa_erase(&um->dma, id);
		um_dma_destroy(dma);
	}
}

/* Where the kernel has it mapped is all that is known of it. */
static unsigned long um_dma_pfn(struct um_dma *dma, u64 at)
{
	void *cpu = dma->cpu + at;

	return is_vmalloc_addr(cpu) ? vmalloc_to_pfn(cpu) : page_to_pfn(virt_to_page(cpu));
}

static struct um_dma *um_dma_find(struct um_device *um, pgoff_t pgoff, u64 *at)
{
	u64 offset = (u64)pgoff << PAGE_SHIFT;
	u64 id = (offset >> UM_INDEX_SHIFT) - UM_DMA_FIRST;
	struct um_dma *dma = id <= UM_DMA_IDS.max ? xa_load(&um->dma, id) : NULL;

	if (!dma || !dma->cpu)
		return NULL;
	*at = offset - um_dma_offset(id);
	return *at < dma->size ? dma : NULL;
}

/*
 * A program that has freed it is wrong. One that has lost the device is not: what it and others
 * still do with what were packets is harmless, here.
 */
static vm_fault_t um_dma_fault(struct vm_fault *vmf)
{
	struct um_device *um = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	struct um_dma *dma;
	unsigned long pfn;
	u64 at;

	mutex_lock(&um->lock);
	if (!um->pdev || um->over) {
		pfn = page_to_pfn(um->scratch);
	} else {
		dma = um_dma_find(um, vmf->pgoff, &at);
		if (!dma)
			goto unlock;
		pfn = um_dma_pfn(dma, at);
	}
	if (vmf->vma->vm_flags & VM_MIXEDMAP) {
		/* An IOMMU's: pages that are counted, see um_dma_mmap(). */
		vmf->page = pfn_to_page(pfn);
		get_page(vmf->page);
		ret = 0;
	} else {
		ret = vmf_insert_pfn(vmf->vma, vmf->address, pfn);
	}
unlock:
	mutex_unlock(&um->lock);
	return ret;
}

/* A mapping refers to its file, and that to the device. */
static const struct vm_operations_struct um_dma_vm_ops = {
	.fault = um_dma_fault,
};

/*
 * Under the lock.
 *
 * Nobody finds this mapping by its file before mmap(2) is over: who frees the memory, or takes
 * the device away, could not take pages out of it. So there must be none in it that are not
 * counted; they come when they are touched. The DMA API is asked for what only it knows, how they
 * are to be cached and encrypted.
 */
int um_dma_mmap(struct um_device *um, struct vm_area_struct *vma)
{
	pgoff_t pgoff = vma->vm_pgoff;
	struct um_dma *dma;
	u64 offset;
	int ret;

	dma = um_dma_find(um, pgoff, &offset);
	if (!dma || vma->vm_end - vma->vm_start > dma->size - offset)
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_DONTEXPAND | VM_DONTCOPY | VM_DONTDUMP);
	vm_flags_clear(vma, VM_MAYEXEC);
	vma->vm_ops = &um_dma_vm_ops;
	vma->vm_private_data = um;
	/* The DMA API counts from the start of its memory; zapping, from the start of the file. */
	vma->vm_pgoff = offset >> PAGE_SHIFT;
	ret = dma_mmap_coherent(&um->pdev->dev, vma, dma->cpu, dma->iova, dma->size);
	vma->vm_pgoff = pgoff;
	if (!ret && vma->vm_flags & VM_PFNMAP)
		zap_vma_ptes(vma, vma->vm_start, vma->vm_end - vma->vm_start);
	return ret;
}
