/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mapped registers. Those of a device that was unplugged read as ones, as PCI has it, and what
 * is written to them is lost: the program's handler of SIGBUS and SIGSEGV has to begin with
 * sl_guard_handler() (<sluice/guard.h>). Over UIO the kernel leaves them mapped: there the bus
 * answers, and sl_device_check() tells.
 *
 * Registers are little-endian, and so are the machines that sluice is for. Offsets are the caller's
 * to check, once, against the length.
 */
#ifndef SLUICE_MMIO_H
#define SLUICE_MMIO_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/guard.h>

#ifdef __cplusplus
extern "C" {
#endif

/** struct sl_mmio - a mapped BAR, or a piece of one */
struct sl_mmio {
	uint8_t *base;
	uint64_t len;
};

/** sl_mmio_has() - are there @len bytes at @offset? For places that the device itself names. */
static inline bool sl_mmio_has(const struct sl_mmio *mmio, uint64_t offset, uint64_t len)
{
	return offset <= mmio->len && len <= mmio->len - offset;
}

/** sl_mmio_read8() - ... */
static inline uint8_t sl_mmio_read8(const struct sl_mmio *mmio, uint64_t offset)
{
	uint8_t value = UINT8_MAX;

	return sl_guard_copy(&value, mmio->base + offset, sizeof(value)) ? UINT8_MAX : value;
}

/** sl_mmio_read16() - ... */
static inline uint16_t sl_mmio_read16(const struct sl_mmio *mmio, uint64_t offset)
{
	uint16_t value = UINT16_MAX;

	return sl_guard_copy(&value, mmio->base + offset, sizeof(value)) ? UINT16_MAX : value;
}

/** sl_mmio_read32() - ... */
static inline uint32_t sl_mmio_read32(const struct sl_mmio *mmio, uint64_t offset)
{
	uint32_t value = UINT32_MAX;

	return sl_guard_copy(&value, mmio->base + offset, sizeof(value)) ? UINT32_MAX : value;
}

/** sl_mmio_write8() - ... */
static inline void sl_mmio_write8(const struct sl_mmio *mmio, uint64_t offset, uint8_t value)
{
	(void)!sl_guard_copy(mmio->base + offset, &value, sizeof(value));
}

/** sl_mmio_write16() - ... */
static inline void sl_mmio_write16(const struct sl_mmio *mmio, uint64_t offset, uint16_t value)
{
	(void)!sl_guard_copy(mmio->base + offset, &value, sizeof(value));
}

/** sl_mmio_write32() - ... */
static inline void sl_mmio_write32(const struct sl_mmio *mmio, uint64_t offset, uint32_t value)
{
	(void)!sl_guard_copy(mmio->base + offset, &value, sizeof(value));
}

/*
 * sl_mmio_before_doorbell() - what was written to memory is there before the register that tells
 * the device; sl_mmio_after_flag() - what the device wrote before a flag is read after the flag.
 *
 * x86 keeps stores in order, uncached ones too, and loads (Intel SDM 3A, 9.2): the compiler alone
 * has to be held. Elsewhere memory and registers are domains of their own.
 */
#if defined(__x86_64__) || defined(__i386__)
#define sl_mmio_before_doorbell() __asm__ __volatile__("" ::: "memory")
#define sl_mmio_after_flag()	  __asm__ __volatile__("" ::: "memory")
#elif defined(__aarch64__)
#define sl_mmio_before_doorbell() __asm__ __volatile__("dmb oshst" ::: "memory")
#define sl_mmio_after_flag()	  __asm__ __volatile__("dmb oshld" ::: "memory")
#else
#define sl_mmio_before_doorbell() __sync_synchronize()
#define sl_mmio_after_flag()	  __sync_synchronize()
#endif

#ifdef __cplusplus
}
#endif
#endif
