/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls that are wrong in themselves. */
#include "um.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Each call as it would be right, but for those that need a device in a certain state.
 */
static const struct call {
	const char *name;
	unsigned long request;
	uint32_t size;
	unsigned reserved; /* which word, 0 for none */
	bool flags_out;
	uint32_t words[16];
} calls[] = {
	{"info", UIO_MSIX_GET_INFO, sizeof(struct uio_msix_info), 5, true, {0}},
	{"region", UIO_MSIX_GET_REGION, sizeof(struct uio_msix_region), 3, true, {0}},
	{"read", UIO_MSIX_READ, sizeof(struct uio_msix_access), 0, false, {0, 0, 6, 2}},
	{"write", UIO_MSIX_WRITE, sizeof(struct uio_msix_access), 0, false, {0, 0, 6, 2, 6}},
	{"irq", UIO_MSIX_GET_IRQ, sizeof(struct uio_msix_irq), 5, false, {0, 0, UIO_MSIX_GONE}},
	{"irqs",
	 UIO_MSIX_SET_IRQS,
	 sizeof(struct uio_msix_set_irqs),
	 0,
	 false,
	 {0, 0, UIO_MSIX_GONE}},
	{"bits", UIO_MSIX_SET_DMA_BITS, sizeof(struct uio_msix_dma_bits), 3, false, {0, 0, 32}},
	{"alloc",
	 UIO_MSIX_DMA_ALLOC,
	 sizeof(struct uio_msix_dma_alloc),
	 3,
	 false,
	 {0, 0, 0, 0, PAGE}},
	{"master", UIO_MSIX_BUS_MASTER, sizeof(struct uio_msix_bus_master), 0, false, {0}},
};
#define CALLS (sizeof(calls) / sizeof(*calls))

static int call_with(int fd, const struct call *c, uint32_t size, unsigned word, uint32_t value)
{
	uint32_t words[20];

	memcpy(words, c->words, sizeof(c->words));
	memset(words + 16, 0, sizeof(words) - sizeof(c->words));
	words[0] = size;
	if (word)
		words[word] = value;
	return um_call(fd, c->request, words);
}

/* Memory of the device's is there as long as the bits of its addresses cannot be changed. */
static bool has_memory(int fd)
{
	int ret = um_dma_bits(fd, 32);

	CHECK(!ret || ret == -EBUSY);
	return ret;
}

/* @c's structure where less than all of it can be read, then where it can be read alone. */
static void bad_pointers(int fd, const struct call *c)
{
	char *pages = um_pages(2 * PAGE, 0), *cut = pages + PAGE - c->size + 4;
	bool fills_in = c->flags_out || strchr("raib", *c->name) == NULL;

	REFUSED(EFAULT, um_call(fd, c->request, NULL));
	REFUSED(EFAULT, um_call(fd, c->request, (void *)-8l));
	CHECK(!munmap(pages + PAGE, PAGE));
	memcpy(cut, c->words, c->size - 4);
	memcpy(cut, &c->size, 4);
	REFUSED(EFAULT, um_call(fd, c->request, cut));
	cut = pages + PAGE - c->size;
	memcpy(cut, c->words, c->size);
	memcpy(cut, &c->size, 4);
	CHECK(!mprotect(pages, PAGE, PROT_READ));
	if (fills_in || c->request == UIO_MSIX_DMA_ALLOC)
		um_call(fd, c->request, cut); /* refused or not: it is not to harm */
	CHECK(!has_memory(fd));
	munmap(pages, PAGE);
}

/* calls ADDRESS */
void um_do_calls(int argc, char **argv)
{
	int fd = MUST(um_open(argv[0]));

	CHECK(argc == 1 && um_call(fd, UIO_MSIX_GET_VERSION, NULL) == UIO_MSIX_VERSION);
	REFUSED(ENOTTY, um_call(fd, _IO(UIO_MSIX_TYPE, 14), NULL));
	REFUSED(ENOTTY, um_call(fd, _IO(UIO_MSIX_TYPE, 255), NULL));
	REFUSED(ENOTTY, um_call(fd, _IO(';', 100), NULL));
	for (const struct call *c = calls; c < calls + CALLS; c++) {
		int ret = call_with(fd, c, c->size, 0, 0);

		if (ret < 0)
			um_fail("%s: %d", c->name, ret);
		if (c->request == UIO_MSIX_DMA_ALLOC) /* the first one's */
			MUST(um_free(fd, 1));
		if (call_with(fd, c, c->size - 1, 0, 0) != -EINVAL ||
		    call_with(fd, c, 8, 0, 0) != (c->size == 8 ? 0 : -EINVAL) ||
		    call_with(fd, c, 0, 0, 0) != -EINVAL)
			um_fail("%s: argsz is not checked", c->name);
		if (c->reserved && call_with(fd, c, c->size, c->reserved, 1) != -EINVAL)
			um_fail("%s: what is reserved is not checked", c->name);
		if (!c->flags_out && call_with(fd, c, c->size, 1, 1u << 31) != -EINVAL)
			um_fail("%s: flags are not checked", c->name);
		bad_pointers(fd, c);
	}
	CHECK(!has_memory(fd));
	close(fd);
	printf("ok - calls that are wrong in themselves are refused, and leave nothing behind\n");
}
