/* SPDX-License-Identifier: BSD-2-Clause */
#include "device/pci_memory.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "device/pci_sysfs.h"

static int memory_path(char to[PATH_MAX], const char *root, const struct sl_pci_addr *addr,
		       const char *suffix)
{
	char text[SL_PCI_ADDR_SIZE];

	sl_pci_addr_format(addr, text);
	return sl_path(to, root, "run/sluice/bind/%s%s", text, suffix);
}

bool sl_pci_driver_name(const char *name)
{
	size_t len = strlen(name);

	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
			return false;
	return len && len < sizeof(((struct sl_pci_memory *)0)->driver) && name[0] != '.';
}

/* "key=value\n" at *@p, which is moved on behind it; a value is a driver's name or empty. */
static bool take_line(const char **p, const char *key, char to[64])
{
	size_t len = strlen(key), value;

	if (strncmp(*p, key, len) || (*p)[len] != '=')
		return false;
	*p += len + 1;
	value = strcspn(*p, "\n");
	if (value >= 64)
		return false;
	memcpy(to, *p, value);
	to[value] = '\0';
	*p += value + ((*p)[value] == '\n');
	return !*to || sl_pci_driver_name(to);
}

static bool parse(const char *p, struct sl_pci_memory *memory)
{
	char ids[64];
	int end = 0;

	return take_line(&p, "id", ids) && take_line(&p, "driver", memory->driver) &&
	       take_line(&p, "override", memory->override) &&
	       take_line(&p, "taken", memory->taken) && !*p &&
	       sscanf(ids, "%4hx-%4hx%n", &memory->vendor, &memory->device, &end) == 2 && !ids[end];
}

int sl_pci_remembered(const char *root, const struct sl_pci_addr *addr,
		      struct sl_pci_memory *memory)
{
	char path[PATH_MAX], text[512];
	int ret = memory_path(path, root, addr, "");

	if (ret)
		return ret;
	ret = sl_text_read(AT_FDCWD, path, text, sizeof(text));
	if (ret < 0)
		return sl_fail(-ret, "cannot read %s: %s", path, strerror(-ret));
	if (!parse(text, memory))
		return sl_fail(EINVAL, "%s makes no sense: remove it", path);
	return 0;
}

static int make_folders(const char *root)
{
	static const char *const folders[] = {"run/sluice", "run/sluice/bind"};
	char path[PATH_MAX];

	for (unsigned i = 0; i < sl_array_len(folders); i++) {
		int ret = sl_path(path, root, "%s", folders[i]);

		if (ret)
			return ret;
		if (mkdir(path, 0755) && errno != EEXIST)
			return sl_fail(errno, "cannot make folder %s: %s", path, strerror(errno));
	}
	return 0;
}

/* Whole or not at all: written beside it, then renamed. */
int sl_pci_remember(const char *root, const struct sl_pci_addr *addr,
		    const struct sl_pci_memory *memory)
{
	char path[PATH_MAX], fresh[PATH_MAX], text[512];
	int len, fd, ret = make_folders(root);

	if (!ret)
		ret = memory_path(path, root, addr, "");
	if (!ret)
		ret = memory_path(fresh, root, addr, ".new");
	if (ret)
		return ret;
	len = snprintf(text, sizeof(text), "id=%04x-%04x\ndriver=%s\noverride=%s\ntaken=%s\n",
		       memory->vendor, memory->device, memory->driver, memory->override,
		       memory->taken);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, (size_t)len) != len || rename(fresh, path)) {
		ret = sl_fail(errno ? errno : EIO, "cannot write %s: %s", path, strerror(errno));
		unlink(fresh);
	}
	sl_fd_close(&fd);
	return ret;
}

void sl_pci_forget(const char *root, const struct sl_pci_addr *addr)
{
	char path[PATH_MAX];

	if (!memory_path(path, root, addr, ""))
		unlink(path);
}
