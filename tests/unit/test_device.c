/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices however they are driven: which way that is, whose space, and memory for them. */
#include <sluice/dma.h>
#include <sluice/space.h>

#include "fake_vfio.h"

#include "device_rig.h"

#define PAGE ((size_t)4096)

static const struct sl_device_options made_up = {.root = top};

static void refused(const char *addr, const struct sl_device_options *options, int ret,
		    const char *why)
{
	struct sl_device *dev = NULL;
	unsigned before = descriptors();

	assert_int_equal(sl_device_open(addr, options, &dev), ret);
	assert_null(dev);
	says(why);
	assert_int_equal(descriptors(), before);
}

static void arguments(void **state)
{
	struct sl_device_options options = made_up;
	struct sl_device *dev;

	(void)state;
	refused("", &made_up, -EINVAL, "\"\" is no address of a PCI device, as 0000:00:03.0 is");
	refused("eth0", &made_up, -EINVAL, "\"eth0\" is no address");
	refused("0000:00:03.0x", &made_up, -EINVAL, "is no address");
	refused("0000:00:1f.0", &made_up, -ENODEV, "0000:00:1f.0");
	options.via = (enum sl_pci_way)9;
	refused(BDF, &options, -EINVAL, BDF ": there is no way 9");
	options.root = "/nowhere";
	refused(BDF, &options, -ENODEV, BDF ": ");
	dev = take("00:03.0", &made_up);
	assert_int_equal(sl_device_get_info(dev)->pci.addr.device, 3);
	sl_device_close(dev);
	said("open vfio/7; STATUS 7; open vfio/vfio; API_VERSION; EXTENSION 3; SET_CONTAINER 7; "
	     "SET_IOMMU 3; DEVICE_FD 0000:00:03.0; ERR 0+; REQ 0+; UNSET_CONTAINER 7; ");
}

/* Bound to uio_pci_generic, behind an IOMMU that translates nothing. */
static void put_uio(void)
{
	unlink(at(DEV(BDF, "driver")));
	put_bound(BDF, "uio_pci_generic");
	put("sys/kernel/iommu_groups/7/type", "identity\n");
	put_folder(DEV(BDF, "uio/uio3"));
	put("dev/uio3", "");
	put("proc/self/pagemap", "");
	put("proc/kpageflags", "");
}

static void which_way(void **state)
{
	struct sl_device_options options = made_up;
	struct sl_device *dev = take(BDF, &options);

	(void)state;
	assert_int_equal(sl_device_get_info(dev)->via, SL_PCI_VFIO);
	sl_device_close(dev);
	options.via = SL_PCI_UIO;
	refused(BDF, &options, -EPERM, BDF ": an IOMMU translates its addresses");
	options.via = SL_PCI_AUTO;
	put_uio();
	dev = take(BDF, &options);
	assert_int_equal(sl_device_get_info(dev)->via, SL_PCI_UIO);
	sl_device_close(dev);
	options.via = SL_PCI_VFIO;
	refused(BDF, &options, -EBUSY, BDF ": bound to uio_pci_generic: sluice bind");
	options.via = SL_PCI_AUTO;
	unlink(at("dev/uio3"));
	refused(BDF, &options, -EBUSY,
		BDF ": vfio: bound to uio_pci_generic: sluice bind 0000:00:03.0 vfio-pci; "
		    "uio_msix: uio_msix, a module that comes with sluice, is not loaded: modprobe "
		    "uio_msix; uio: ");
	says("dev/uio3 is not there");
}

/* What the caller has opened is not asked for: it is tried. */
static void which_way_given(void **state)
{
	struct sl_device_fds fds = no_fds;
	struct sl_device_options options = {.root = top, .fds = &fds};
	struct sl_device *dev;

	(void)state;
	unlink(at("dev/vfio/7"));
	refused(BDF, &options, -ENOENT, "dev/vfio/7 is not there"); /* "none" is nothing given */
	fds.group = object_new(FAKE_GROUP, 7);
	dev = take(BDF, &options);
	assert_string_equal(sl_device_get_info(dev)->backend, "vfio (type1v2)");
	sl_device_close(dev);
	put_uio();
	fds.uio = open(at("dev/uio3"), O_RDWR);
	unlink(at("dev/uio3"));
	options.via = SL_PCI_UIO; /* there are descriptors for both: the caller says which */
	dev = take(BDF, &options);
	assert_string_equal(sl_device_get_info(dev)->backend, "uio_pci_generic");
	sl_device_close(dev);
	close(fds.group);
	fds.group = -1;
	options.via = SL_PCI_AUTO;
	dev = take(BDF, &options);
	assert_string_equal(sl_device_get_info(dev)->backend, "uio_pci_generic");
	sl_device_close(dev);
	options.via = SL_PCI_VFIO;
	refused(BDF, &options, -EBUSY, "bound to uio_pci_generic");
	close(fds.uio);
}

static void whose_space(void **state)
{
	struct sl_device_options options = made_up;
	struct sl_device *dev = take(BDF, &options);
	struct sl_space *space;
	struct sl_dma *dma;
	size_t count;

	(void)state;
	assert_non_null(sl_device_space(dev));
	sl_device_close(dev);
	assert_int_equal(sl_space_create(NULL, &space), 0);
	options.space = space;
	dev = take(BDF, &options);
	assert_ptr_equal(sl_device_space(dev), space);
	assert_int_equal(sl_dma_create(dev, 1, 0, &dma), 0);
	sl_space_mappings(space, &count);
	assert_int_equal(count, 1);
	sl_dma_release(dma);
	sl_device_close(dev);
	/* It goes on without the device, and with the next. */
	dev = take(OTHER, &options);
	sl_device_close(dev);
	sl_space_mappings(space, &count);
	assert_int_equal(count, 0);
	sl_space_release(space);
}

/* An address of the device has so many bits: what it reaches lies below. */
static void address_bits(void **state)
{
	struct sl_device_options options = {.root = top, .dma_bits = 16};
	struct sl_device *dev = take(BDF, &options);
	struct sl_dma *dma, *more;

	(void)state;
	assert_int_equal(sl_dma_create(dev, 14 * PAGE, 0, &dma), 0);
	assert_int_equal(sl_dma_iova(dma, 0).value, 0x1000);
	assert_int_equal(sl_dma_create(dev, 2 * PAGE, 0, &more), -ENOSPC);
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &more), 0);
	assert_int_equal(sl_dma_iova(more, PAGE - 1).value, UINT16_MAX);
	sl_dma_release(more);
	sl_dma_release(dma);
	sl_device_close(dev);
	options.dma_bits = 65;
	refused(BDF, &options, -EINVAL, BDF ": an address of 65 bits: 16 to 64 are possible");
	options.dma_bits = 64;
	assert_int_equal(sl_space_create(NULL, &options.space), 0);
	refused(BDF, &options, -EINVAL, "is for a space of its own; this one has limits");
	sl_space_release(options.space);
}

static void memory(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	const struct sl_region *region;
	struct sl_dma *dma, *more;

	(void)state;
	assert_int_equal(sl_dma_create(dev, 3 * PAGE + 1, 9, &dma), 0);
	region = sl_dma_region(dma);
	assert_int_equal(region->len, 4 * PAGE);
	assert_int_equal(region->id, 9);
	assert_int_equal(region->access, SL_REGION_READ | SL_REGION_WRITE);
	for (size_t i = 0; i < region->len; i++)
		assert_int_equal(((const uint8_t *)region->base)[i], 0);
	assert_int_equal(sl_dma_iova(dma, 0).value, 0x1000);
	assert_int_equal(sl_dma_iova(dma, 4 * PAGE - 1).value, 0x1000 + 4 * PAGE - 1);
	assert_int_equal(newest(FAKE_CONTAINER)->maps[0].vaddr, (uintptr_t)region->base);
	assert_int_equal(newest(FAKE_CONTAINER)->maps[0].size, 4 * PAGE);
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &more), 0);
	assert_int_equal(sl_dma_iova(more, 0).value, 0x1000 + 4 * PAGE);
	sl_dma_release(dma);
	assert_int_equal(newest(FAKE_CONTAINER)->n_maps, 1);
	sl_dma_release(more);
	sl_dma_release(NULL);
	assert_int_equal(newest(FAKE_CONTAINER)->n_maps, 0);
	assert_int_equal(kernel.live_maps, 0);
	sl_device_close(dev);
}

static void no_memory(void **state)
{
	struct sl_device *dev = take(BDF, &made_up);
	struct sl_dma *dma = NULL;
	unsigned n;
	int ret;

	(void)state;
	assert_int_equal(sl_dma_create(dev, 0, 0, &dma), -EINVAL);
	assert_int_equal(sl_dma_create(dev, SIZE_MAX, 0, &dma), -EINVAL);
	kernel.map_err = ENOSPC;
	assert_int_equal(sl_dma_create(dev, PAGE, 0, &dma), -ENOSPC);
	says(BDF ": VFIO does not map IOVA 0x1000-0x1fff: the kernel allows no more mappings");
	kernel.map_err = 0;
	for (n = 1; n < 40; n++) {
		kernel.calls = 0;
		kernel.fail_at = n;
		ret = sl_dma_create(dev, PAGE, 0, &dma);
		kernel.fail_at = 0;
		assert_int_equal(newest(FAKE_CONTAINER)->n_maps, !ret);
		assert_int_equal(kernel.live_maps, !ret);
		if (!ret)
			break;
		assert_null(dma);
		assert_true(ret == -ENOMEM || ret == -EIO);
	}
	assert_true(n > 4);
	sl_dma_release(dma);
	sl_device_close(dev);
	assert_int_equal(kernel.live_maps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_test(arguments),	fake_test(which_way),	 fake_test(which_way_given),
		fake_test(whose_space), fake_test(address_bits), fake_test(memory),
		fake_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
