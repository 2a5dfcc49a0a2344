// SPDX-License-Identifier: BSD-2-Clause
/*
 * A module with faults, one for each thing in the kernel that looks for them; the parameter says
 * which. None does harm.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

static char *fault;
module_param(fault, charp, 0444);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static void *volatile kept;
static void __rcu *shared;
static volatile unsigned int bits = 40;

static void leak(void)
{
	for (int i = 0; i < 10; i++)
		kept = kmalloc(100, GFP_KERNEL);
	kept = NULL;
}

static void use_after_free(void)
{
	volatile char *p = kmalloc(100, GFP_KERNEL);

	kfree((void *)p);
	*p = 1;
}

static void locks(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void rcu(void)
{
	kept = rcu_dereference(shared); /* without rcu_read_lock() */
}

static void atomic_sleep(void)
{
	preempt_disable();
	might_sleep();
	preempt_enable();
}

static void shift(void)
{
	kept = (void *)(unsigned long)(1U << bits);
	kept = NULL;
}

static void dma(void)
{
	struct pci_dev *bridge = pci_get_domain_bus_and_slot(0, 0, 0);

	dma_unmap_single(&bridge->dev, 0x1000, 64, DMA_TO_DEVICE); /* never mapped */
	pci_dev_put(bridge);
}

static int __init faulty_init(void)
{
	static const struct {
		const char *name;
		void (*commit)(void);
	} faults[] = {
		{"leak", leak}, {"use_after_free", use_after_free}, {"locks", locks},
		{"rcu", rcu},	{"atomic_sleep", atomic_sleep},	    {"shift", shift},
		{"dma", dma},
	};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		if (fault && !strcmp(fault, faults[i].name)) {
			faults[i].commit();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit faulty_exit(void)
{
}

module_init(faulty_init);
module_exit(faulty_exit);
MODULE_DESCRIPTION("Faults for the kernel to find");
MODULE_LICENSE("Dual BSD/GPL");
