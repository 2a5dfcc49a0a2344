/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers: every number, offset and width is checked here. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/reason.h"
#include "device/device_private.h"

int sl_device_get_region(struct sl_device *dev, unsigned index, struct sl_device_region *region)
{
	*region = (struct sl_device_region){.len = 0};
	if (index >= SL_DEVICE_REGIONS)
		return sl_fail(EINVAL,
			       "%s: there is no region %u: 0 to 5 are BARs, 6 is the ROM, 7 "
			       "configuration space",
			       dev->name, index);
	return dev->backend->get_region(dev, index, region);
}

static int check(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		 uint32_t needs)
{
	struct sl_device_region region;
	int ret = sl_device_get_region(dev, index, &region);

	if (ret)
		return ret;
	if ((width != 1 && width != 2 && width != 4 && width != 8) || offset % width)
		return sl_fail(EINVAL,
			       "%s: %u bytes at 0x%llx: 1, 2, 4 or 8, aligned, can be read "
			       "or written",
			       dev->name, width, (unsigned long long)offset);
	if (offset > region.len || width > region.len - offset)
		return sl_fail(EINVAL, "%s: %u bytes at 0x%llx of region %u, which has 0x%llx",
			       dev->name, width, (unsigned long long)offset, index,
			       (unsigned long long)region.len);
	if (!(region.flags & needs))
		return sl_fail(EOPNOTSUPP, "%s: region %u cannot be %s", dev->name, index,
			       needs == SL_DEVICE_READ ? "read" : "written");
	return 0;
}

int sl_device_transferred(const struct sl_device *dev, unsigned index, ssize_t done, size_t width)
{
	if (done == (ssize_t)width)
		return 0;
	if (done < 0 && (errno == EPERM || errno == EINVAL || errno == EFAULT))
		return sl_fail(errno, "%s: region %u refuses that: %s", dev->name, index,
			       strerror(errno));
	return sl_fail(ENODEV, "%s does not answer: %s", dev->name,
		       done < 0 ? strerror(errno) : "a part only");
}

int sl_device_read(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		   uint64_t *value)
{
	uint64_t bytes = 0;
	int ret = check(dev, index, offset, width, SL_DEVICE_READ);

	if (!ret)
		ret = dev->backend->read(dev, index, offset, width, &bytes);
	if (!ret)
		*value = le64toh(bytes);
	return ret;
}

int sl_device_write(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width,
		    uint64_t value)
{
	uint64_t bytes = htole64(value);
	int ret = check(dev, index, offset, width, SL_DEVICE_WRITE);

	if (!ret && width < 8 && value >> 8 * width)
		ret = sl_fail(EINVAL, "%s: 0x%llx does not fit in %u bytes", dev->name,
			      (unsigned long long)value, width);
	return ret ? ret : dev->backend->write(dev, index, offset, width, &bytes);
}

/* Nothing at first, so that what is between the parts faults instead of being somebody else's. */
static int map_parts(struct sl_device *dev, unsigned bar, const struct sl_device_region *region,
		     uint8_t **out)
{
	uint8_t *base = mmap(NULL, region->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ret = 0;

	if (base == MAP_FAILED)
		return sl_fail(ENOMEM, "%s: no room for BAR %u, 0x%llx bytes", dev->name, bar,
			       (unsigned long long)region->len);
	for (unsigned i = 0; i < region->n_parts && !ret; i++)
		ret = dev->backend->map(dev, bar, &region->parts[i],
					base + region->parts[i].offset);
	if (ret)
		munmap(base, region->len);
	*out = base;
	return ret;
}

int sl_device_map(struct sl_device *dev, unsigned bar, struct sl_mmio *mmio)
{
	struct sl_device_region region;
	int ret = sl_device_get_region(dev, bar, &region);

	if (ret)
		return ret;
	if (bar >= SL_PCI_BARS || !(region.flags & SL_DEVICE_MAP))
		return sl_fail(EINVAL, "%s: region %u cannot be mapped%s", dev->name, bar,
			       region.flags & SL_DEVICE_IO ? ": it is I/O ports"
			       : region.len		   ? ""
							   : ": there is none");
	if (!dev->mmio[bar].base) {
		ret = map_parts(dev, bar, &region, &dev->mmio[bar].base);
		if (ret) {
			dev->mmio[bar].base = NULL;
			return ret;
		}
		dev->mmio[bar].len = region.len;
	}
	*mmio = dev->mmio[bar];
	return 0;
}
