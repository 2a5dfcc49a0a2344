/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "device/pci_sysfs.h"

#define ENTRIES_MAX 100000 /* in one folder: more than all PCI functions of a machine */

int sl_path(char to[PATH_MAX], const char *root, const char *fmt, ...)
{
	int head = snprintf(to, PATH_MAX, "%s/", root && strcmp(root, "/") ? root : "");
	va_list args;
	int tail;

	if (head < 0 || head >= PATH_MAX)
		return sl_fail(ENAMETOOLONG, "the path of the root is too long");
	va_start(args, fmt);
	tail = vsnprintf(to + head, (size_t)(PATH_MAX - head), fmt, args);
	va_end(args);
	if (tail < 0 || tail >= PATH_MAX - head)
		return sl_fail(ENAMETOOLONG, "%.64s...: the path is too long", to);
	return 0;
}

int sl_pci_path(char to[PATH_MAX], const char *root, const struct sl_pci_addr *addr,
		const char *file)
{
	char text[SL_PCI_ADDR_SIZE];

	sl_pci_addr_format(addr, text);
	return sl_path(to, root, "sys/bus/pci/devices/%s/%s", text, file);
}

/* Not blocking: what should be a file may be a FIFO. */
static ssize_t read_all(int at, const char *path, char *to, size_t room)
{
	int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t len = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -errno;
	while (len < room) {
		got = read(fd, to + len, room - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	got = got < 0 ? -errno : (ssize_t)len;
	sl_fd_close(&fd);
	return got;
}

int sl_text_read(int at, const char *path, char *to, size_t room)
{
	ssize_t len = read_all(at, path, to, room);

	if (len < 0 || (size_t)len == room) {
		*to = '\0';
		return len < 0 ? (int)len : -EFBIG;
	}
	while (len && isspace((unsigned char)to[len - 1]))
		len--;
	to[len] = '\0';
	return (int)len;
}

int sl_pci_config_read(const char *root, const struct sl_pci_addr *addr,
		       uint8_t bytes[SL_PCI_CONFIG_MAX])
{
	char path[PATH_MAX];
	int ret = sl_pci_path(path, root, addr, "config");

	if (ret)
		return ret;
	ret = (int)read_all(AT_FDCWD, path, (char *)bytes, SL_PCI_CONFIG_MAX);
	if (ret < 0)
		return sl_fail(-ret, "cannot read %s: %s", path, strerror(-ret));
	return ret;
}

int sl_link_name(int at, const char *path, char *to, size_t room)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(at, path, target, sizeof(target) - 1);
	const char *name;

	*to = '\0';
	if (len < 0)
		return -errno;
	target[len] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= room)
		return -ENAMETOOLONG;
	strcpy(to, name);
	return 0;
}

static int cannot_write(const char *path, int err)
{
	if (err == EACCES || err == EPERM)
		return sl_fail(err, "no permission to write %s: run as root", path);
	if (err == EROFS)
		return sl_fail(err,
			       "%s is read-only here: run outside of this container, or mount "
			       "its sysfs writable",
			       path);
	return sl_fail(err, "cannot write %s: %s", path, strerror(err));
}

int sl_text_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t len = strlen(text);
	ssize_t done;
	int ret = 0;

	if (fd < 0)
		return cannot_write(path, errno);
	do
		done = write(fd, text, len);
	while (done < 0 && errno == EINTR);
	if (done != (ssize_t)len)
		ret = cannot_write(path, done < 0 ? errno : EIO);
	sl_fd_close(&fd);
	return ret;
}

int sl_folder_each(const char *path, int (*entry)(void *ctx, const char *name), void *ctx)
{
	DIR *folder = opendir(path);
	const struct dirent *e;
	unsigned left = ENTRIES_MAX;
	int ret = 0;

	if (!folder)
		return -errno;
	while (!ret && (e = readdir(folder))) {
		if (e->d_name[0] != '.')
			ret = left-- ? entry(ctx, e->d_name) : -E2BIG;
	}
	closedir(folder);
	return ret;
}

static int count(void *ctx, const char *name)
{
	(void)name;
	++*(unsigned *)ctx;
	return 0;
}

unsigned sl_folder_count(const char *path)
{
	unsigned n = 0;

	sl_folder_each(path, count, &n);
	return n;
}

struct wanted {
	const char *prefix;
	char *name;
	size_t room;
};

static int is_wanted(void *ctx, const char *name)
{
	const struct wanted *wanted = ctx;

	if (strncmp(name, wanted->prefix, strlen(wanted->prefix)) || strlen(name) >= wanted->room)
		return 0;
	strcpy(wanted->name, name);
	return 1;
}

int sl_folder_first(const char *path, const char *prefix, char *name, size_t room)
{
	struct wanted wanted = {prefix, name, room};

	return sl_folder_each(path, is_wanted, &wanted) == 1 ? 0 : -ENOENT;
}

int sl_uio_node(const char *root, const struct sl_pci_addr *addr, char *name, size_t room)
{
	char path[PATH_MAX];
	int ret = sl_pci_path(path, root, addr, "uio");

	if (ret || !sl_folder_first(path, "uio", name, room))
		return ret;
	ret = sl_pci_path(path, root, addr, "");
	if (ret)
		return ret;
	if (sl_folder_first(path, "uio:uio", name, room))
		return sl_fail(ENOENT, "%s holds no UIO device", path);
	memmove(name, name + 4, strlen(name + 4) + 1);
	return 0;
}

int sl_vfio_node(const char *root, const struct sl_pci_addr *addr, char to[PATH_MAX])
{
	char path[PATH_MAX], name[64];
	int ret = sl_pci_path(path, root, addr, "vfio-dev");

	if (!ret && sl_folder_first(path, "vfio", name, sizeof(name)))
		ret = sl_fail(ENOENT, "%s holds no device of VFIO", path);
	return ret ? ret : sl_path(to, root, "dev/vfio/devices/%s", name);
}

int sl_path_access(const char *path)
{
	return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) ? -errno : 0;
}
