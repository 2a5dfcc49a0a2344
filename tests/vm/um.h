/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that asks the kernel module uio_msix, by its own interface, in a guest. Each command
 * says what it has found to be so, "ok - ...", and ends at the first thing that is not.
 */
#ifndef UM_H
#define UM_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <uio_msix/uio_msix.h>

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			um_fail("%s:%d: not so: %s", __FILE_NAME__, __LINE__, #what);              \
	} while (0)

/* A call that has to succeed; its value is what it returned. */
#define MUST(call)                                                                                 \
	({                                                                                         \
		int ret_ = (call);                                                                 \
		if (ret_ < 0)                                                                      \
			um_fail("%s:%d: %s: %d", __FILE_NAME__, __LINE__, #call, ret_);            \
		ret_;                                                                              \
	})

/* A call that has to fail, and how. */
#define REFUSED(error, call)                                                                       \
	do {                                                                                       \
		int ret_ = (call);                                                                 \
		if (ret_ != -(error))                                                              \
			um_fail("%s:%d: %s: %d, not -%s", __FILE_NAME__, __LINE__, #call, ret_,    \
				#error);                                                           \
	} while (0)

enum {
	PAGE = 4096,
	HUGE_PAGE = 2 << 20,
	SOON = 5000, /* ms */
	NEVER = 30   /* ms */
};

__attribute__((noreturn, format(printf, 1, 2))) void um_fail(const char *format, ...);

/* Calls. All return -errno when they are refused. */
int um_open(const char *addr);
int um_call(int fd, unsigned long request, void *argument);
uint32_t um_info(int fd); /* its flags */
struct uio_msix_region um_region(int fd, unsigned index);
int um_read(int fd, unsigned index, uint64_t offset, unsigned width, uint64_t *value);
int um_write(int fd, unsigned index, uint64_t offset, unsigned width, uint64_t value);
uint64_t um_get(int fd, unsigned index, uint64_t offset, unsigned width);
struct uio_msix_irq um_irq(int fd, unsigned kind);
int um_wire(int fd, unsigned kind, unsigned start, unsigned count, const int *fds);
int um_wire_one(int fd, unsigned kind, int event);
int um_master(int fd, uint32_t flags);
int um_reset(int fd);
int um_dma_bits(int fd, unsigned bits);

/* Bus mastering as the device's own register says. */
bool um_is_master(const char *addr);

/* A BAR, from its first byte to its last; but for its hole. */
void *um_map(int fd, unsigned bar);
/* False when there is nothing: SIGBUS or SIGSEGV. */
bool um_touch(const volatile void *at);

struct um_memory {
	void *base;
	uint64_t size, iova;
	uint32_t id;
};
int um_alloc(int fd, uint64_t size, struct um_memory *memory);
/* In as many segments as there are pages; the first one's address is the memory's. */
int um_pin(int fd, void *base, uint64_t size, struct um_memory *memory);
/* @pages: where the device sees each */
int um_pin_pages(int fd, void *base, unsigned n, uint64_t *pages, uint32_t *id);
int um_free(int fd, uint32_t id);
void *um_pages(uint64_t size, int flags);

/* As a shell does: TEXT > PATH. */
void um_echo(const char *path, const char *text);
void um_nothing_pinned(void);
int um_event(void);
/* How many interrupts came, as soon as there is one; 0 after so many milliseconds. */
uint64_t um_comes(int event, int ms);

static inline void um_put32(volatile void *base, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)((volatile char *)base + offset) = value;
}

static inline uint32_t um_get32(volatile void *base, unsigned offset)
{
	return *(volatile uint32_t *)((volatile char *)base + offset);
}

/* edu (QEMU's docs/specs/edu.txt): between its buffer and memory, 100 ms. */
#define EDU_MAX 4095
void edu_start(void *edu, uint64_t iova, unsigned len, bool to_memory);
void edu_dma(void *edu, uint64_t iova, unsigned len, bool to_memory);
/* From memory into the device and back. */
void edu_both_ways(void *edu, void *memory, uint64_t iova, unsigned seed);
void um_fill(void *page, unsigned seed);
bool um_holds(const void *page, unsigned seed, unsigned len);
void edu_raise(void *edu);
void edu_silence(void *edu);

/* Devices that write to memory all the time, until they are killed; @pages is how many. */
typedef void um_traffic(int fd, void *memory, unsigned pages, void (*running)(void));
um_traffic nic_traffic, nvme_traffic;
/* ... or until their registers are taken away from them */
void um_try(um_traffic *traffic, int fd, void *memory, unsigned pages, void (*running)(void));

/* Commands; argv[0] is a device. */
typedef void um_command(int argc, char **argv);
um_command um_do_calls, um_do_config, um_do_bars, um_do_combining, um_do_wiring, um_do_crowded,
	um_do_dma, um_do_mask, um_do_bounced, um_do_locked, um_do_remapped, um_do_forks,
	um_do_namespaces, um_do_open, um_do_hold, um_do_unclean, um_do_reset, um_do_kills,
	um_do_send, um_do_uio, um_do_uio_hold, um_do_uio_open, um_do_kinds, um_do_race, um_do_stale,
	um_do_cleaned;

#endif
