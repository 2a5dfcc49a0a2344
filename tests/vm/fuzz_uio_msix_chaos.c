/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The administrator beside the program: unbinds and binds, resets, unplugs and plugs in, reads
 * configuration space, takes the module out and loads it anew. In the end
 * everything is there and bound again.
 */
#include "fuzz_uio_msix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DRIVER "/sys/bus/pci/drivers/uio_msix/"

struct chaos {
	struct thread *t;
	const char *module;
	bool pulled[DEVICES_MAX]; /* from asking QEMU until there is a new one */
	bool asked[DEVICES_MAX];  /* for the new one */
	time_t gone[DEVICES_MAX]; /* since then */
	unsigned done[16];
};

int fuzz_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = -1;

	if (fd >= 0) {
		ret = write(fd, text, strlen(text)) < 0 ? -1 : 0;
		close(fd);
	}
	return ret;
}

static const char *path_of(const struct device *d, const char *file)
{
	static char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", d->addr, file);
	return path;
}

static unsigned index_of(const struct chaos *c, const struct device *d)
{
	return (unsigned)(d - c->t->f->devices);
}

/* Device N is "dN" for QEMU, in "rN". One line at once: others write there too. */
static void ask_qemu(const char *command, const char *arguments)
{
	char line[256];
	int len = snprintf(line, sizeof(line),
			   "%%%% qmp {\"execute\": \"%s\", \"arguments\": {%s}}\n", command,
			   arguments);

	(void)!write(STDOUT_FILENO, line, (size_t)len);
}

static int unbind(struct chaos *c, struct device *d)
{
	(void)c;
	return fuzz_write_file(DRIVER "unbind", d->addr);
}

static int reset(struct chaos *c, struct device *d)
{
	(void)c;
	return fuzz_write_file(path_of(d, "reset"), "1");
}

/* Linux 6.12 uses what it has freed when it is done to a device that is being unplugged. */
static int take_out(struct chaos *c, struct device *d)
{
	if (c->pulled[index_of(c, d)])
		return -1;
	return fuzz_write_file(path_of(d, "remove"), "1");
}

/* On the first bus are no slots. */
static bool is_pluggable(const struct device *d)
{
	return d->kind->plug && strncmp(d->addr, "0000:00:", 8);
}

static int unplug(struct chaos *c, struct device *d)
{
	char arguments[32];

	if (!is_pluggable(d) || c->pulled[index_of(c, d)])
		return -1;
	snprintf(arguments, sizeof(arguments), "\"id\": \"d%u\"", index_of(c, d));
	ask_qemu("device_del", arguments);
	c->pulled[index_of(c, d)] = true;
	return 0;
}

static int read_config(struct chaos *c, struct device *d)
{
	int fd = open(path_of(d, "config"), O_RDONLY | O_CLOEXEC);
	char config[4096];
	ssize_t len;

	(void)c;
	if (fd < 0)
		return -1;
	len = read(fd, config, sizeof(config));
	close(fd);
	return len > 0 ? 0 : -1;
}

static int load(struct chaos *c)
{
	static const char *const modes[] = {"auto", "auto", "msix", "msi", "intx"};
	int fd = open(c->module, O_RDONLY | O_CLOEXEC), ret;
	char parameters[64];

	if (fd < 0)
		fuzz_fail("%s: %d", c->module, errno);
	snprintf(parameters, sizeof(parameters), "intr_mode=%s uio=%u", modes[fuzz_pick(c->t, 5)],
		 !fuzz_one_in(c->t, 4));
	ret = (int)syscall(SYS_finit_module, fd, parameters, 0);
	if (ret)
		fuzz_fail("%s %s: %d", c->module, parameters, errno);
	close(fd);
	return ret;
}

/* It is refused while somebody has a device open. */
static int take_module(struct chaos *c, struct device *d)
{
	(void)d;
	if (syscall(SYS_delete_module, "uio_msix", O_NONBLOCK))
		return 0;
	load(c);
	return -1;
}

/* Whose device is gone closes it some time. */
static int reload(struct chaos *c, struct device *d)
{
	(void)d;
	for (unsigned i = 0; i < c->t->f->n_devices; i++)
		unbind(c, &c->t->f->devices[i]);
	for (unsigned i = 0; i < 200; i++) {
		if (!syscall(SYS_delete_module, "uio_msix", O_NONBLOCK))
			return load(c);
		usleep(10000);
	}
	return -1;
}

/* Linux forgets the old one some time before it tells QEMU that it has. */
static void plug_in(struct chaos *c, struct device *d)
{
	unsigned i = index_of(c, d);
	char arguments[160];

	if (!c->gone[i])
		c->gone[i] = time(NULL);
	if (time(NULL) - c->gone[i] < 2)
		return;
	snprintf(arguments, sizeof(arguments), "%s, \"id\": \"d%u\", \"bus\": \"r%u\"",
		 d->kind->plug, i, i);
	ask_qemu("device_add", arguments);
	c->asked[i] = true;
	c->gone[i] = 0;
}

/* A rescan would find again what is on its way out, and QEMU may not survive taking that away. */
static int look_for(struct chaos *c)
{
	for (unsigned i = 0; i < c->t->f->n_devices; i++)
		if (c->pulled[i])
			return -1;
	return fuzz_write_file("/sys/bus/pci/rescan", "1");
}

/* Whatever lacks a driver gets ours; what is not there is looked for, or plugged in. */
static int heal_one(struct chaos *c, struct device *d)
{
	unsigned i = index_of(c, d);
	int ret;

	if (access(path_of(d, ""), F_OK)) {
		if (!c->pulled[i])
			return look_for(c);
		plug_in(c, d);
		return 0;
	}
	if (c->asked[i])
		c->pulled[i] = c->asked[i] = false;
	if (!access(path_of(d, "driver"), F_OK))
		return -1;
	if (fuzz_write_file(path_of(d, "driver_override"), "uio_msix"))
		return -1;
	fuzz_starve(c->t, true);
	ret = fuzz_write_file("/sys/bus/pci/drivers_probe", d->addr);
	fuzz_starve(c->t, false);
	return ret;
}

static int heal(struct chaos *c, struct device *d)
{
	int ret = -1;

	(void)d;
	for (unsigned i = 0; i < c->t->f->n_devices; i++)
		if (!heal_one(c, &c->t->f->devices[i]))
			ret = 0;
	return ret;
}

static const struct {
	const char *name;
	unsigned weight;
	int (*act)(struct chaos *c, struct device *d);
} acts[] = {
	{"unbind", 12, unbind},	   {"bind", 60, heal},	  {"reset", 8, reset},
	{"remove", 6, take_out},   {"unplug", 5, unplug}, {"config", 10, read_config},
	{"rmmod", 5, take_module}, {"reload", 5, reload},
};
#define WEIGHTS 111
#define BIND	1
#define ACTS	(sizeof(acts) / sizeof(*acts))

/* Was it done? A device may be gone, or be none that can be unplugged. */
static bool act(struct chaos *c, unsigned i)
{
	bool done = !acts[i].act(c, fuzz_device(c->t));

	c->done[i] += done;
	usleep(fuzz_pick(c->t, 100000));
	return done;
}

static void act_at_random(struct chaos *c)
{
	unsigned n = fuzz_pick(c->t, WEIGHTS), i = 0;

	while (n >= acts[i].weight)
		n -= acts[i++].weight;
	act(c, i);
}

static bool all_bound(struct chaos *c)
{
	bool all = true;

	for (unsigned i = 0; i < c->t->f->n_devices; i++) {
		struct device *d = &c->t->f->devices[i];

		/* One that is being unplugged is there still. */
		all &= !c->pulled[i] && !access(path_of(d, "driver"), F_OK);
		heal_one(c, d);
	}
	return all;
}

int fuzz_chaos(struct thread *t, unsigned seconds, const char *module)
{
	struct chaos c = {.t = t, .module = module};
	time_t end = time(NULL) + seconds;

	load(&c);
	fuzz_starve_init(t);
	for (unsigned i = 0; i < ACTS; i++)
		for (unsigned tries = 0; tries < 50 && !act(&c, i); tries++)
			act(&c, BIND);
	while (time(NULL) < end)
		act_at_random(&c);
	for (unsigned i = 0; !all_bound(&c); i++) {
		if (i >= 300)
			fuzz_fail("the devices do not come back");
		usleep(100000);
	}
	printf("the administrator:");
	for (unsigned i = 0; i < ACTS; i++)
		printf(" %s %u", acts[i].name, c.done[i]);
	printf("\n");
	for (unsigned i = 0; i < ACTS; i++)
		if (!c.done[i])
			fuzz_fail("never %s", acts[i].name);
	return 0;
}
