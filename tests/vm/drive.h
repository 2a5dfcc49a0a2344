/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that drives devices of QEMU's in a guest. Each command says what it has found to be so,
 * "ok - ...", and ends at the first thing that is not.
 */
#ifndef DRIVE_H
#define DRIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <sluice/device.h>
#include <sluice/device_irq.h>
#include <sluice/device_region.h>
#include <sluice/dma.h>
#include <sluice/reason.h>

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			drive_fail("%s:%d: not so: %s", __FILE_NAME__, __LINE__, #what);           \
	} while (0)

/* A call into the library that has to succeed; its value is what it returned. */
#define MUST(call)                                                                                 \
	({                                                                                         \
		int ret_ = (call);                                                                 \
		if (ret_ < 0)                                                                      \
			drive_fail("%s:%d: %s: %d: %s", __FILE_NAME__, __LINE__, #call, ret_,      \
				   sl_reason());                                                   \
		ret_;                                                                              \
	})

__attribute__((noreturn, format(printf, 1, 2))) void drive_fail(const char *format, ...);

/*
 * In @space, NULL for its own; over @via, NULL for "auto", "vfio", "uio_msix" or "uio"; behind it
 * may stand
 * ",force", ",bits=28", or ",fd=3": its node, opened.
 */
struct sl_device *drive_open(const char *addr, const char *via, struct sl_space *space);
struct sl_mmio drive_map(struct sl_device *dev, unsigned bar);
int drive_event(void);
/* How many interrupts came, as soon as there is one; 0 after so many milliseconds. */
uint64_t drive_comes(int event, int ms);

/* edu's DMA (QEMU's docs/specs/edu.txt): between its buffer and an IOVA, at most 4095 bytes. */
enum {
	EDU_TO_DEVICE,
	EDU_TO_MEMORY
};
#define EDU_MAX 4095
void edu_start(const struct sl_mmio *edu, sl_iova iova, unsigned len, int direction);
void edu_dma(const struct sl_mmio *edu, sl_iova iova, unsigned len, int direction);

/* An interrupt of each vector, when wished. */
struct firing {
	struct sl_device *dev;
	struct sl_mmio mmio;
	struct nvme *nvme;
	uint32_t id;
	void (*fire)(struct firing *f, unsigned vector);
};

/* @kind: e1000e, ivshmem or nvme; its vectors are wired already */
void start_firing(struct firing *f, struct sl_device *dev, const char *kind);
void stop_firing(struct firing *f);

struct nvme;
struct nvme *nvme_start(struct sl_device *dev, const struct sl_mmio *mmio, unsigned queues);
void nvme_fire(struct firing *f, unsigned vector);
void nvme_stop(struct nvme *nvme);

/* Commands; argv[0] is a device. */
void drive_vectors(int argc, char **argv);
void drive_race(int argc, char **argv);
void drive_intx(int argc, char **argv);
void drive_msi(int argc, char **argv);
void drive_isolation(int argc, char **argv);
void drive_spaces(int argc, char **argv);
void drive_container(int argc, char **argv);
void drive_halt(int argc, char **argv);
void drive_regions(int argc, char **argv);
void drive_reset(int argc, char **argv);
void drive_memory(int argc, char **argv);
void drive_hold(int argc, char **argv);
void drive_descriptors(int argc, char **argv);
void drive_apart(int argc, char **argv);
void drive_lock(int argc, char **argv);

#endif
