/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device: something that this program drives. Its registers are <sluice/device_region.h>, its
 * interrupts <sluice/device_irq.h>, memory that it reaches <sluice/dma.h>. docs/drive.md tells
 * the whole story.
 *
 * A device is one thread's; only mapped registers may be touched by several. A child made by fork()
 * must not use it.
 */
#ifndef SLUICE_DEVICE_H
#define SLUICE_DEVICE_H

#include <sluice/pci.h>
#include <sluice/space.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sl_device;

/**
 * struct sl_device_fds - what a privileged parent has opened already; -1 for what it has not
 * @container: /dev/vfio/vfio; other processes may use it as well
 * @group:     /dev/vfio/GROUP
 * @iommufd:   /dev/iommu
 * @device:    /dev/vfio/devices/vfioN; for one sl_device_open(), later ones need a new one
 * @uio_msix:  /dev/uio_msix/ADDRESS; the device is reset when the last descriptor is closed
 * @uio:       /dev/uioN; locked (flock(2)) from then on until it is closed
 * @config, @resources: the device's files "config", "resource0" to "resource5" in sysfs, for UIO
 */
struct sl_device_fds {
	int container, group, iommufd, device, uio_msix;
	int uio, config, resources[SL_PCI_BARS];
};

/** SL_DEVICE_FDS_NONE - nothing is open: what a struct sl_device_fds begins with */
#define SL_DEVICE_FDS_NONE                                                                         \
	{                                                                                          \
		-1, -1, -1, -1, -1, -1, -1,                                                        \
		{                                                                                  \
			-1, -1, -1, -1, -1, -1                                                     \
		}                                                                                  \
	}

/**
 * struct sl_device_options - how to open a device; all zero is right for most
 * @root:  the folder in which sys/, dev/ and proc/ are, NULL for "/"
 * @via:   SL_PCI_AUTO: VFIO where it works, else uio_msix, else UIO
 * @space: what the device reaches; the caller's, released after the device is closed. Devices
 *         of one space share a VFIO container where the kernel allows it; devices of one IOMMU
 *         group have to be in one space. NULL: the device gets a space of its own
 * @fds:   used instead of opening them, NULL for none; duplicated, they stay the caller's
 * @dma_bits: how many an address of the device has: 16 to 64, 0 for 64. A @space has limits instead
 * @force: over uio_msix: let it do DMA though it was not reset since its last user
 */
struct sl_device_options {
	const char *root;
	enum sl_pci_way via;
	struct sl_space *space;
	const struct sl_device_fds *fds;
	unsigned dma_bits;
	bool force;
};

/**
 * struct sl_device_info - what a device is like; constant while it is open
 * @pci:      as the kernel knew it
 * @config:   its configuration space, decoded
 * @via:      how it is driven
 * @backend:  the same for people: "vfio (type1v2)", "vfio (iommufd)", "uio_msix", "uio_pci_generic"
 */
struct sl_device_info {
	struct sl_pci_info pci;
	struct sl_pci_config config;
	enum sl_pci_way via;
	const char *backend;
};

/**
 * sl_device_open() - take a device
 * @addr:    "0000:00:03.0"
 * @options: NULL for the defaults
 * @out:     the device, owned by the caller; its bus mastering is off
 *
 * Return: 0; -EINVAL for what is no address; -ENODEV when there is none, or no way to drive it;
 * -EBUSY when somebody else drives it, or its group is not viable; -EACCES, -EPERM without the
 * right; -ENOMEM; or what the kernel says. The reason says what would help.
 */
int sl_device_open(const char *addr, const struct sl_device_options *options,
		   struct sl_device **out);

/**
 * sl_device_close() - stop its DMA, then its interrupts, unmap its registers, give it back
 * @dev: NULL is allowed; memory made for it by sl_dma_create() is freed before
 */
void sl_device_close(struct sl_device *dev);

/** sl_device_get_info() - what it is like. Return: the device's own, until it is closed. */
const struct sl_device_info *sl_device_get_info(const struct sl_device *dev);

/**
 * sl_device_space() - what it reaches: map memory there
 *
 * Return: the space of the options, or the device's own. Over uio_msix and UIO the kernel says
 * where memory is: only sl_dma_create() knows.
 */
struct sl_space *sl_device_space(const struct sl_device *dev);

/**
 * sl_device_bus_master() - let it do DMA and send MSI, or not (PCI 3.0, 6.2.2: command, bit 2)
 * @dev: the device; answers in memory are turned on as well (bit 1)
 * @on:  ...
 *
 * Return: 0; -ENODEV when it is gone; -EUCLEAN over uio_msix when it was not reset since its last
 * user, into whose memory it may still write: see the options' force.
 */
int sl_device_bus_master(struct sl_device *dev, bool on);

/**
 * sl_device_reset() - the best function reset that the kernel has for it
 * @dev: the device; interrupts stay wired, registers are as after power-on, bus mastering off
 * @how: the kernel's word for it, "flr", "pm", "bus" ..., the device's own; NULL is allowed
 *
 * Return: 0; -EOPNOTSUPP when it cannot be; -ENODEV when it is gone; or what the kernel says.
 */
int sl_device_reset(struct sl_device *dev, const char **how);

/**
 * sl_device_event() - an event that says: the kernel wants the device back, or it is gone
 * @dev: the device
 *
 * Who waits for its end should close the device soon: over VFIO unbinding blocks until then.
 *
 * Return: an eventfd, the device's own, readable from then on; -1 where the kernel has no such
 * event (UIO): there sl_device_check() and a failing interrupt tell.
 */
int sl_device_event(const struct sl_device *dev);

/**
 * sl_device_check() - is it there, and ours?
 *
 * Return: 0; -ENODEV when it was unplugged, taken away, or answers with ones only.
 */
int sl_device_check(struct sl_device *dev);

#ifdef __cplusplus
}
#endif
#endif
