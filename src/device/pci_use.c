/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything below a device's folder in sysfs is looked at: what its `subsystem` calls "net" is an
 * interface, "block" a disk or a partition. From there on to what is stacked upon them.
 */
#include "device/pci_use.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "device/pci_sysfs.h"

enum {
	DEPTH_MAX = 24, /* a USB disk behind hubs is 15 folders down; LVM on LUKS adds 2 */
	FOLDERS_MAX = 50000,
};

struct use {
	const char *root;
	const char *device; /* as the sentences call it */
	bool ask_kernel;
	unsigned depth, folders;
};

static int walk(struct use *use, int fd, const char *name);

/* Always -EIO: a missing file must not pass for a folder that may be missing. */
static int cannot_tell(const struct use *use, int err, const char *path)
{
	return sl_fail(EIO, "%s: cannot tell whether it is in use: %s: %s", use->device, path,
		       strerror(err));
}

/* Each entry of a folder that may be missing. */
static int each(struct use *use, const char *path, int (*entry)(void *ctx, const char *name),
		void *ctx)
{
	int ret = sl_folder_each(path, entry, ctx);

	if (!ret || ret == -ENOENT)
		return 0;
	return ret == -EBUSY || ret == -EIO ? ret : cannot_tell(use, -ret, path);
}

/* Another folder, by its path, where what is stacked upon a device is. */
static int walk_path(struct use *use, const char *name, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : cannot_tell(use, errno, path);
	return walk(use, fd, name);
}

/*
 * Lines of a file of /proc. @hit says whether one speaks of what is sought: 1 and *line is it.
 */

static int find_line(const struct use *use, const char *file, bool optional,
		     bool (*hit)(char *line, const char *sought), const char *sought)
{
	char path[PATH_MAX], *line = NULL;
	size_t room = 0;
	int found = sl_path(path, use->root, "%s", file);
	FILE *f = found ? NULL : fopen(path, "re");

	if (found)
		return found;
	if (!f)
		return optional && errno == ENOENT ? 0 : cannot_tell(use, errno, path);
	while (!found && getline(&line, &room, f) >= 0)
		found = hit(line, sought);
	if (!found && ferror(f))
		found = cannot_tell(use, EIO, path);
	free(line);
	fclose(f);
	return found;
}

/* Iface Destination Gateway Flags RefCnt Use Metric Mask ...; RTF_REJECT is 0x200. */
static bool default_route4(char *line, const char *interface)
{
	char name[32];
	unsigned destination, gateway, flags, mask;

	return sscanf(line, "%31s %x %x %x %*s %*s %*s %x", name, &destination, &gateway, &flags,
		      &mask) == 5 &&
	       !strcmp(name, interface) && !destination && !mask && !(flags & 0x200);
}

/* Destination and length, source and length, next hop, metric, two counters, flags, interface. */
static bool default_route6(char *line, const char *interface)
{
	char destination[40], name[32];
	unsigned len, flags;

	return sscanf(line, "%39s %x %*s %*s %*s %*s %*s %*s %x %31s", destination, &len, &flags,
		      name) == 4 &&
	       !strcmp(name, interface) && !len && !(flags & 0x200) &&
	       strspn(destination, "0") == strlen(destination);
}

/* The third word is the device's number, the fifth where it is mounted (proc(5)). */
static bool mounted(char *line, const char *number)
{
	char found[32];

	return sscanf(line, "%*s %*s %31s", found) == 1 && !strcmp(found, number);
}

static bool swapped(char *line, const char *name)
{
	const char *last;

	line[strcspn(line, " \t\n")] = '\0';
	last = strrchr(line, '/');
	return !strcmp(last ? last + 1 : line, name);
}

/*
 * Interfaces.
 */

static int check_interface(struct use *use, const char *name);

/* upper_br0: a bridge, a bond or a VLAN on top. */
static int check_upper(void *ctx, const char *entry)
{
	return strncmp(entry, "upper_", 6) ? 0 : check_interface(ctx, entry + 6);
}

static int check_interface(struct use *use, const char *name)
{
	char path[PATH_MAX];
	int ret = find_line(use, "proc/net/route", false, default_route4, name);

	if (!ret)
		ret = find_line(use, "proc/net/ipv6_route", true, default_route6, name);
	if (ret > 0)
		return sl_fail(EBUSY, "%s carries the default route, by interface %s", use->device,
			       name);
	if (!ret)
		ret = sl_path(path, use->root, "sys/class/net/%s", name);
	if (ret)
		return ret;
	if (use->depth++ == DEPTH_MAX)
		return cannot_tell(use, ELOOP, path);
	ret = each(use, path, check_upper, use);
	use->depth--;
	return ret;
}

/*
 * Disks.
 */

/* The device node's name has a slash where sysfs has an exclamation mark. */
static int check_claimed(const struct use *use, const char *name)
{
	char path[PATH_MAX];
	int fd, ret = sl_path(path, use->root, "dev/%s", name);

	if (ret)
		return ret;
	for (char *p = path + strlen(path) - strlen(name); *p; p++)
		*p = *p == '!' ? '/' : *p;
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == EBUSY)
		return sl_fail(EBUSY, "%s: the kernel or a program holds its disk %s", use->device,
			       path);
	sl_fd_close(&fd);
	return 0;
}

/* A link by itself is enough. */
static bool there(const char *path)
{
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

struct btrfs_search {
	struct use *use;
	const char *disk;
};

/* A file system over several disks is mounted by the name of one: btrfs lists all of them. */
static int check_btrfs(void *ctx, const char *uuid)
{
	const struct btrfs_search *s = ctx;
	char path[PATH_MAX];
	int ret = sl_path(path, s->use->root, "sys/fs/btrfs/%s/devices/%s", uuid, s->disk);

	if (!ret && there(path))
		ret = sl_fail(EBUSY, "%s: its disk %s belongs to a btrfs that is mounted",
			      s->use->device, s->disk);
	return ret;
}

/* A disk of device mapper, of md or the like that lies upon another. */
static int check_holder(void *ctx, const char *name)
{
	struct use *use = ctx;
	char path[PATH_MAX];
	int ret = sl_path(path, use->root, "sys/class/block/%s", name);

	return ret ? ret : walk_path(use, name, path);
}

static int check_stacked(struct use *use, const char *name)
{
	struct btrfs_search search = {use, name};
	char path[PATH_MAX];
	int ret = sl_path(path, use->root, "sys/class/block/%s/holders", name);

	if (!ret)
		ret = each(use, path, check_holder, use);
	if (!ret)
		ret = sl_path(path, use->root, "sys/fs/btrfs");
	return ret ? ret : each(use, path, check_btrfs, &search);
}

static int check_disk(struct use *use, int fd, const char *name)
{
	char number[32];
	int ret;

	if (sl_text_read(fd, "dev", number, sizeof(number)) < 0)
		return 0; /* one path of several to a disk, which has no node */
	ret = find_line(use, "proc/self/mountinfo", false, mounted, number);
	if (ret > 0)
		return sl_fail(EBUSY, "%s: its disk %s is mounted", use->device, name);
	if (!ret)
		ret = find_line(use, "proc/swaps", true, swapped, name);
	if (ret > 0)
		return sl_fail(EBUSY, "%s: its disk %s is swapped to", use->device, name);
	if (!ret)
		ret = check_stacked(use, name);
	return ret || !use->ask_kernel ? ret : check_claimed(use, name);
}

/* With several paths the kernel puts an NVMe disk below its subsystem, not the controller. */
struct nvme_search {
	struct use *use;
	const char *controller;
};

static int check_nvme_subsystem(void *ctx, const char *subsystem)
{
	const struct nvme_search *s = ctx;
	char path[PATH_MAX];
	int ret = sl_path(path, s->use->root, "sys/class/nvme-subsystem/%s/%s", subsystem,
			  s->controller);

	if (ret || !there(path))
		return ret;
	*strrchr(path, '/') = '\0';
	return walk_path(s->use, subsystem, path);
}

static int check_nvme(struct use *use, const char *controller)
{
	struct nvme_search search = {use, controller};
	char path[PATH_MAX];
	int ret = sl_path(path, use->root, "sys/class/nvme-subsystem");

	return ret ? ret : each(use, path, check_nvme_subsystem, &search);
}

/*
 * The walk.
 */

static int check_folder(struct use *use, int fd, const char *name)
{
	char subsystem[32];

	if (sl_link_name(fd, "subsystem", subsystem, sizeof(subsystem)))
		return 0;
	if (!strcmp(subsystem, "net"))
		return check_interface(use, name);
	if (!strcmp(subsystem, "block"))
		return check_disk(use, fd, name);
	return strcmp(subsystem, "nvme") ? 0 : check_nvme(use, name);
}

/* Folders only: links lead elsewhere, and up. */
static int walk_entries(struct use *use, DIR *folder)
{
	const struct dirent *e;
	int fd, ret = 0;

	while (!ret && (e = readdir(folder))) {
		if (e->d_name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
			continue;
		fd = openat(dirfd(folder), e->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			ret = walk(use, fd, e->d_name);
		else if (errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
			ret = cannot_tell(use, errno, e->d_name);
	}
	return ret;
}

/* Takes the descriptor over. */
static int walk(struct use *use, int fd, const char *name)
{
	DIR *folder;
	int ret;

	if (use->depth == DEPTH_MAX || use->folders++ == FOLDERS_MAX) {
		sl_fd_close(&fd);
		return cannot_tell(use, ELOOP, name);
	}
	use->depth++;
	ret = check_folder(use, fd, name);
	folder = ret ? NULL : fdopendir(fd);
	if (folder) {
		ret = walk_entries(use, folder);
		closedir(folder);
	} else {
		if (!ret)
			ret = cannot_tell(use, errno, name);
		sl_fd_close(&fd);
	}
	use->depth--;
	return ret;
}

int sl_pci_in_use(const char *root, const struct sl_pci_addr *addr, bool ask_kernel)
{
	char path[PATH_MAX], device[SL_PCI_ADDR_SIZE];
	struct use use = {.root = root, .device = device, .ask_kernel = ask_kernel};
	int ret = sl_pci_path(path, root, addr, "");

	sl_pci_addr_format(addr, device);
	return ret ? ret : walk_path(&use, device, path);
}
