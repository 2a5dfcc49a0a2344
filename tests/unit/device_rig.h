/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of devices share. */
#ifndef SL_TESTS_DEVICE_RIG_H
#define SL_TESTS_DEVICE_RIG_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <sluice/device.h>
#include <sluice/device_irq.h>
#include <sluice/device_region.h>
#include <sluice/reason.h>

#include "pci_tree.h"

static const struct sl_device_fds no_fds __attribute__((unused)) = SL_DEVICE_FDS_NONE;

static inline void on_fault(int sig, siginfo_t *info, void *ctx)
{
	if (!sl_guard_handler(sig, info, ctx))
		signal(sig, SIG_DFL);
}

/* What <sluice/mmio.h> asks of a program. */
static inline void guard_faults(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
	assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
}

static inline struct sl_device *take(const char *addr, const struct sl_device_options *options)
{
	struct sl_device *dev = NULL;

	if (sl_device_open(addr, options, &dev))
		fail_msg("%s", sl_reason());
	return dev;
}

/* It fails with @ret and says @why, and its address once. */
static inline void does_not_open(const char *addr, const struct sl_device_options *options, int ret,
				 const char *why)
{
	struct sl_device *dev = NULL;
	size_t len = strlen(addr);

	assert_int_equal(sl_device_open(addr, options, &dev), ret);
	assert_null(dev);
	says(why);
	assert_int_equal(strncmp(sl_reason(), addr, len), 0);
	assert_int_not_equal(strncmp(sl_reason() + len + strlen(": "), addr, len), 0);
}

static inline int event_new(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static inline uint64_t event_value(int fd)
{
	uint64_t value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static inline uint64_t get(struct sl_device *dev, unsigned index, uint64_t offset, unsigned width)
{
	uint64_t value = 0;

	if (sl_device_read(dev, index, offset, width, &value))
		fail_msg("%s", sl_reason());
	return value;
}

/* Widths, alignments and places that no region has; @len is that of region @index. */
static inline void refuses(struct sl_device *dev, unsigned index, uint64_t len)
{
	static const unsigned widths[] = {0, 3, 5, 6, 7, 9, 16, 0x80000000};
	uint64_t value = 0x5a;

	for (unsigned i = 0; i < sizeof(widths) / sizeof(*widths); i++) {
		assert_int_equal(sl_device_read(dev, index, 0, widths[i], &value), -EINVAL);
		assert_int_equal(sl_device_write(dev, index, 0, widths[i], 0), -EINVAL);
	}
	for (unsigned width = 2; width <= 8; width *= 2) {
		assert_int_equal(sl_device_read(dev, index, 1, width, &value), -EINVAL);
		assert_int_equal(sl_device_write(dev, index, width + width / 2, width, 0), -EINVAL);
	}
	for (unsigned width = 1; width <= 8; width *= 2) {
		uint64_t end = len & ~(uint64_t)(width - 1);

		/* The last that fits, the first that does not, and sums that overflow. */
		assert_int_equal(sl_device_read(dev, index, end, width, &value), -EINVAL);
		assert_int_equal(sl_device_write(dev, index, end, width, 0), -EINVAL);
		assert_int_equal(sl_device_read(dev, index, -(uint64_t)width, width, &value),
				 -EINVAL);
		assert_int_equal(sl_device_write(dev, index, -(uint64_t)width, width, 0), -EINVAL);
		if (width < 8)
			assert_int_equal(sl_device_write(dev, index, 0, width, 1ull << 8 * width),
					 -EINVAL);
	}
	assert_int_equal(value, 0x5a);
}

#endif
