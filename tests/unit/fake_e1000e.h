/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device of memory that behaves as an 82574 does, as far as the driver has to do with it: it acts
 * when the test says so, and at once on writes to registers, which it sees by standing in for
 * sl_guard_copy() (-Wl,--wrap). It reaches nothing but what is mapped in its space.
 */
#ifndef SL_TESTS_FAKE_E1000E_H
#define SL_TESTS_FAKE_E1000E_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sluice/device_irq.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "device/backend.h"
#include "port/nic/e1000e.h"

#define FAKE_WRITES 4096
#define FAKE_FRAME  2048

struct fake_e1000e {
	struct sl_device dev;
	uint8_t config[256];
	uint8_t *bar; /* NULL: not mapped, or closed */
	uint64_t bar_len;
	unsigned vectors; /* of MSI-X */
	int event;
	bool gone;   /* reads as ones */
	bool stuck;  /* in its reset */
	bool no_mac; /* in its NVM */
	bool no_link;
	bool no_intx;			  /* MSI only: uio_msix's intr_mode=msi */
	bool unmasked;			  /* INTx, since it came */
	unsigned closed, resets, unknown; /* addresses it could not reach */
	uint32_t missed;
	struct {
		uint32_t reg, value;
	} writes[FAKE_WRITES]; /* all, in order, as long as there is room */
	unsigned n_writes, doorbells;
	/* The last frame it sent, and what of it was asked for. */
	uint8_t sent[FAKE_FRAME];
	uint32_t sent_len, descriptors, contexts;
	uint64_t last_iova, context_low, context_high;
	bool sums, in_frame;
	void (*on_sent)(struct fake_e1000e *f); /* looks at each; NULL for none */
};

static struct fake_e1000e *fake_device; /* the one whose registers are written */

int __real_sl_guard_copy(void *to, const void *from, size_t len);
int __wrap_sl_guard_copy(void *to, const void *from, size_t len);

static inline uint32_t *fake_reg(struct fake_e1000e *f, uint32_t reg)
{
	return (uint32_t *)(void *)(f->bar + reg);
}

/* Each cause has its vector (IVAR), which masks it; INTx and MSI tell of all that are on. */
static inline void fake_interrupt(struct fake_e1000e *f)
{
	static const struct {
		uint32_t cause;
		unsigned shift;
	} vectors[] = {{CAUSE_RXQ0, 0},
		       {CAUSE_RXQ0 << 1, 4},
		       {CAUSE_TXQ0, 8},
		       {CAUSE_TXQ0 << 1, 12},
		       {CAUSE_OTHER, 16}};
	uint32_t on = *fake_reg(f, ICR) & *fake_reg(f, IMS);

	if (!on || !f->dev.wired)
		return;
	if (f->dev.irq != SL_IRQ_MSIX) {
		if (f->unmasked)
			sl_event_signal(f->dev.wired[0]);
		f->unmasked = f->dev.irq == SL_IRQ_MSI;
		return;
	}
	for (unsigned i = 0; i < 5; i++) {
		uint32_t entry = *fake_reg(f, IVAR) >> vectors[i].shift & 15;

		if (!(on & vectors[i].cause) || !(entry & 8) || (entry & 7) >= f->dev.n_wired)
			continue;
		sl_event_signal(f->dev.wired[entry & 7]);
		*fake_reg(f, ICR) &= ~(vectors[i].cause & *fake_reg(f, EIAC));
		*fake_reg(f, IMS) &= ~(vectors[i].cause & *fake_reg(f, EIAC));
	}
}

static inline void fake_cause(struct fake_e1000e *f, uint32_t msix, uint32_t intx)
{
	*fake_reg(f, ICR) |= f->dev.wired && f->dev.irq == SL_IRQ_MSIX ? msix : intx;
	fake_interrupt(f);
}

/* Like QEMU's it leaves alone much of what it should clear. */
static inline void fake_reset(struct fake_e1000e *f)
{
	static const uint32_t cleared[] = {CTRL_EXT, ICR, IMS, RCTL, TCTL};

	for (unsigned i = 0; i < sl_array_len(cleared); i++)
		*fake_reg(f, cleared[i]) = 0;
	f->resets++;
	*fake_reg(f, CTRL) = f->stuck ? CTRL_RST : 0;
	*fake_reg(f, STATUS) = f->no_link ? 0 : STATUS_LU;
	*fake_reg(f, EECD) = EECD_AUTO_RD;
	*fake_reg(f, RAL0) = 0x12005452;
	*fake_reg(f, RAH0) = f->no_mac ? 0 : RAH_AV | 0x5634;
}

static inline void fake_write(struct fake_e1000e *f, uint32_t reg, uint32_t value)
{
	if (f->n_writes < FAKE_WRITES) {
		f->writes[f->n_writes].reg = reg;
		f->writes[f->n_writes++].value = value;
	}
	switch (reg) {
	case CTRL:
		*fake_reg(f, CTRL) = value;
		if (value & CTRL_RST)
			fake_reset(f);
		break;
	case ICR:
		*fake_reg(f, ICR) &= ~value;
		break;
	case IMS:
		*fake_reg(f, IMS) |= value;
		fake_interrupt(f);
		break;
	case IMC:
		*fake_reg(f, IMS) &= ~value;
		break;
	default:
		f->doorbells += (reg & ~0x1ffu) == (TDT & ~0x1ffu) && (reg & 0xff) == (TDT & 0xff);
		*fake_reg(f, reg) = value;
	}
}

static inline uint32_t fake_read(struct fake_e1000e *f, uint32_t reg)
{
	uint32_t value = *fake_reg(f, reg);

	if (reg == MPC) {
		value = f->missed;
		f->missed = 0;
	}
	if (reg == ICR) /* QEMU's clears nothing with MSI-X; a real one may */
		*fake_reg(f, ICR) = 0;
	return value;
}

int __wrap_sl_guard_copy(void *to, const void *from, size_t len)
{
	struct fake_e1000e *f = fake_device;
	uint8_t *t = to;
	const uint8_t *s = from;

	if (f && f->bar && t >= f->bar && t < f->bar + f->bar_len && len == 4) {
		uint32_t value;

		memcpy(&value, from, 4);
		if (!f->gone)
			fake_write(f, (uint32_t)(t - f->bar), value);
		return 0;
	}
	if (f && f->bar && s >= f->bar && s < f->bar + f->bar_len && len == 4) {
		uint32_t value = f->gone ? UINT32_MAX : fake_read(f, (uint32_t)(s - f->bar));

		memcpy(to, &value, 4);
		return 0;
	}
	return __real_sl_guard_copy(to, from, len);
}

/*
 * DMA.
 */

static inline void *fake_at(struct fake_e1000e *f, uint64_t iova, uint64_t len, uint32_t access)
{
	struct iovec piece;

	if (f->config[4] & 4 &&
	    sl_space_lookup(f->dev.space, (sl_iova){iova}, len, access, &piece, 1) == 1)
		return piece.iov_base;
	f->unknown++;
	return NULL;
}

static inline struct e1000e_desc *fake_desc(struct fake_e1000e *f, uint32_t bal, unsigned q,
					    uint32_t index)
{
	const uint32_t *regs = fake_reg(f, bal + q * QUEUE_REGS);

	return fake_at(f, (regs[0] | (uint64_t)regs[1] << 32) + index * sizeof(struct e1000e_desc),
		       sizeof(struct e1000e_desc), SL_REGION_READ | SL_REGION_WRITE);
}

/* Write one descriptor back as the caller likes. Returns false when there is none. */
static inline bool fake_receive_raw(struct fake_e1000e *f, unsigned q, const void *frame,
				    uint32_t len, uint64_t high)
{
	uint32_t *head = fake_reg(f, RDH + q * QUEUE_REGS);
	struct e1000e_desc *desc;
	void *to;

	if (*head == *fake_reg(f, RDT + q * QUEUE_REGS) || !(*fake_reg(f, RCTL) & RCTL_EN)) {
		f->missed++;
		return false;
	}
	desc = fake_desc(f, RDBAL, q, *head);
	to = desc ? fake_at(f, desc->low, sl_max(len, 1), SL_REGION_WRITE) : NULL;
	if (!to)
		return false;
	memcpy(to, frame, len);
	desc->low = 0x5a5a5a5a5a5a5a5a; /* what was there is overwritten */
	desc->high = high;
	*head = (*head + 1) % E1000E_RING;
	fake_cause(f, CAUSE_RXQ0 << q, CAUSE_RXT0);
	return true;
}

static inline bool fake_receive(struct fake_e1000e *f, unsigned q, const void *frame, uint32_t len,
				uint32_t status)
{
	return fake_receive_raw(f, q, frame, len, (uint64_t)len << 32 | status | RXD_DD | RXD_EOP);
}

/* A data descriptor. Returns true when it ends the frame. */
static inline bool fake_send_data(struct fake_e1000e *f, const struct e1000e_desc *desc)
{
	uint32_t len = desc->high & 0xfffff;
	void *from = fake_at(f, desc->low, len, SL_REGION_READ);

	if (!f->in_frame)
		f->sent_len = f->descriptors = 0;
	f->descriptors++;
	f->last_iova = desc->low;
	f->sums = desc->high & TXD_TXSM;
	if (from && f->sent_len + len <= sizeof(f->sent))
		memcpy(f->sent + f->sent_len, from, len);
	f->sent_len += len;
	f->in_frame = !(desc->high & TXD_EOP);
	return !f->in_frame;
}

/* Send up to @frames of what it was told of; it says so where it was asked to (RS). */
static inline unsigned fake_send(struct fake_e1000e *f, unsigned q, unsigned frames)
{
	uint32_t *head = fake_reg(f, TDH + q * QUEUE_REGS);
	unsigned sent = 0;
	bool told = false;

	while (sent < frames && *head != *fake_reg(f, TDT + q * QUEUE_REGS)) {
		struct e1000e_desc *desc = fake_desc(f, TDBAL, q, *head);

		if (!desc)
			break;
		if (!(desc->high & 1ull << 20)) {
			f->context_low = desc->low;
			f->context_high = desc->high;
			f->contexts++;
		} else if (fake_send_data(f, desc)) {
			sent++;
			if (f->on_sent)
				f->on_sent(f);
		}
		if (desc->high & TXD_RS) {
			desc->high |= TXD_DD;
			told = true;
		}
		*head = (*head + 1) % E1000E_RING;
	}
	if (told)
		fake_cause(f, CAUSE_TXQ0 << q, CAUSE_TXDW);
	return sent;
}

/*
 * The back end.
 */

static inline struct fake_e1000e *fake_e1000e_of(const struct sl_device *dev)
{
	return (struct fake_e1000e *)(uintptr_t)dev;
}

static inline int fake_get_region(struct sl_device *dev, unsigned index,
				  struct sl_device_region *region)
{
	*region = (struct sl_device_region){.flags = SL_DEVICE_READ | SL_DEVICE_WRITE};
	if (index == SL_DEVICE_CONFIG) {
		region->len = 256;
	} else if (index == 0) {
		region->len = fake_e1000e_of(dev)->bar_len;
		region->flags |= SL_DEVICE_MAP;
		region->n_parts = 1;
		region->parts[0].len = region->len;
	}
	return 0;
}

static inline int fake_map(struct sl_device *dev, unsigned bar, const struct sl_device_part *part,
			   void *at)
{
	(void)bar;
	if (mmap(at, part->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		return -ENOMEM;
	fake_e1000e_of(dev)->bar = at;
	for (uint32_t reg = EIAC; reg < BAR_LEN / 2 && reg < part->len; reg += 4)
		*fake_reg(fake_e1000e_of(dev), reg) = 0xa5a5a5a5; /* who had it before */
	fake_reset(fake_e1000e_of(dev));
	fake_e1000e_of(dev)->resets = 0;
	return 0;
}

static inline int fake_config_read(struct sl_device *dev, unsigned index, uint64_t offset,
				   unsigned width, void *bytes)
{
	struct fake_e1000e *f = fake_e1000e_of(dev);

	(void)index;
	memcpy(bytes, f->config + offset, width);
	if (f->gone)
		memset(bytes, 0xff, width);
	return 0;
}

static inline int fake_config_write(struct sl_device *dev, unsigned index, uint64_t offset,
				    unsigned width, const void *bytes)
{
	(void)index;
	memcpy(fake_e1000e_of(dev)->config + offset, bytes, width);
	return 0;
}

static inline unsigned fake_irq_count(const struct sl_device *dev, enum sl_irq kind)
{
	const struct fake_e1000e *f = fake_e1000e_of(dev);

	if (kind == SL_IRQ_MSIX)
		return f->vectors;
	return kind == SL_IRQ_MSI || !f->no_intx;
}

static inline int fake_irq_set(struct sl_device *dev, unsigned first, unsigned count,
			       const int *fds)
{
	(void)first;
	(void)count;
	(void)fds;
	fake_e1000e_of(dev)->unmasked = true;
	return 0;
}

static inline void fake_irq_off(struct sl_device *dev)
{
	(void)dev;
}

static inline int fake_irq_mask(struct sl_device *dev, bool masked)
{
	struct fake_e1000e *f = fake_e1000e_of(dev);

	f->unmasked = !masked;
	if (f->unmasked && f->bar)
		fake_interrupt(f);
	return 0;
}

static inline int fake_event(const struct sl_device *dev)
{
	return fake_e1000e_of(dev)->event;
}

static inline int fake_check(struct sl_device *dev)
{
	uint64_t count;

	if (read(fake_e1000e_of(dev)->event, &count, sizeof(count)) < 0)
		return 0;
	sl_event_signal(fake_e1000e_of(dev)->event);
	return sl_fail(ENODEV, "the fake is asked back");
}

static inline void fake_device_close(struct sl_device *dev)
{
	struct fake_e1000e *f = fake_e1000e_of(dev);

	sl_fd_close(&f->event);
	f->bar = NULL;
	f->closed++;
}

static const struct sl_backend fake_backend = {
	.close = fake_device_close,
	.get_region = fake_get_region,
	.map = fake_map,
	.read = fake_config_read,
	.write = fake_config_write,
	.irq_count = fake_irq_count,
	.irq_set = fake_irq_set,
	.irq_off = fake_irq_off,
	.irq_mask = fake_irq_mask,
	.event = fake_event,
	.check = fake_check,
};

/* A device that nobody has opened yet; @f is the caller's and outlives it. */
static inline void fake_e1000e_init(struct fake_e1000e *f)
{
	static const struct sl_iova_range range = {{0x1000}, {UINT64_MAX}};
	static const struct sl_iova_limits limits = {.ranges = &range, .n_ranges = 1, .page = 4096};

	memset(f, 0, sizeof(*f));
	f->dev.backend = &fake_backend;
	f->dev.info.via = SL_PCI_VFIO;
	f->dev.info.backend = "fake";
	f->dev.info.pci.addr.device = 3;
	strcpy(f->dev.name, "0000:00:03.0");
	f->bar_len = BAR_LEN;
	f->vectors = 5;
	f->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (sl_space_create(&limits, &f->dev.own_space))
		abort();
	f->dev.space = f->dev.own_space;
	fake_device = f;
}

#endif
