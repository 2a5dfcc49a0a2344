/* SPDX-License-Identifier: BSD-2-Clause */
/* The questions of sluice probe about the machine. Each runs in a child of its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/magic.h>
#include <linux/userfaultfd.h>
#include <linux/vduse.h>
#include <linux/vfio.h>
#include <linux/vhost.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sluice/reason.h>

#include "cli/probe.h"
#include "tunnel/aead.h"

/*
 * Memory.
 */

static long meminfo(const char *key)
{
	char line[128];

	if (!sl_probe_line_with("/proc/meminfo", key, line, sizeof(line)))
		return 0;
	return strtol(line + strcspn(line, " "), NULL, 10);
}

static void check_huge_pages(struct sl_probe_answer *answer)
{
	long kib = meminfo("Hugepagesize:");
	long spare = meminfo("HugePages_Free:") - meminfo("HugePages_Rsvd:");

	if (!kib)
		sl_probe_no(answer, "boot a kernel with CONFIG_HUGETLBFS",
			    "/proc/meminfo knows none");
	else if (spare > 0)
		sl_probe_yes(answer, "%ld of %ld KiB free", spare, kib);
	else
		sl_probe_no(answer, "sysctl vm.nr_hugepages=128",
			    "vm.nr_hugepages is %ld, none of %ld KiB free",
			    meminfo("HugePages_Total:"), kib);
}

static void check_memfd_huge(struct sl_probe_answer *answer)
{
	int fd = memfd_create("sluice-probe", MFD_HUGETLB | MFD_CLOEXEC);
	struct stat st;
	size_t len; /* the size of a huge page: hugetlbfs reports it as block size */

	if (fd < 0 || fstat(fd, &st) < 0) {
		sl_probe_no(answer, "boot a kernel with CONFIG_HUGETLBFS",
			    "memfd_create(MFD_HUGETLB): %s", sl_probe_errno(errno));
		return;
	}
	len = (size_t)st.st_blksize;
	if (ftruncate(fd, (off_t)len) == 0 &&
	    mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
		answer->ok = true;
	else
		sl_probe_no(answer, "sysctl vm.nr_hugepages=128", "mapping one page of it: %s",
			    sl_probe_errno(errno));
}

static void check_thp(struct sl_probe_answer *answer)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	char line[128];

	if (!sl_probe_first_line(path, line, sizeof(line)))
		sl_probe_no(answer, "boot a kernel with CONFIG_TRANSPARENT_HUGEPAGE",
			    "opening %s: %s", path, sl_probe_errno(errno));
	else if (strstr(line, "[never]"))
		sl_probe_no(answer, "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled",
			    "the mode is never");
	else
		sl_probe_yes(answer, "mode %s", strstr(line, "[always]") ? "always" : "madvise");
}

static void check_memlock(struct sl_probe_answer *answer)
{
	const rlim_t enough = 64 << 20; /* the bounce memory of one VDUSE device */
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		sl_probe_yes(answer, "unlimited");
	else if (limit.rlim_cur >= enough)
		sl_probe_yes(answer, "%llu KiB", (unsigned long long)limit.rlim_cur >> 10);
	else
		sl_probe_no(answer,
			    "as root: ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit",
			    "%llu KiB; VFIO locks all it maps for DMA, VDUSE 64 MiB a device",
			    (unsigned long long)limit.rlim_cur >> 10);
}

static void check_userfaultfd(struct sl_probe_answer *answer)
{
	long fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		answer->ok = true;
	else if (errno == EPERM &&
		 syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY) >= 0)
		sl_probe_yes(answer,
			     "faults of user code only; all: sysctl vm.unprivileged_userfaultfd=1");
	else
		sl_probe_no(answer,
			    errno == ENOSYS
				    ? "boot a kernel with CONFIG_USERFAULTFD"
				    : "run as root, or sysctl vm.unprivileged_userfaultfd=1",
			    "userfaultfd(): %s", sl_probe_errno(errno));
}

static const char *uring_fix(int err)
{
	if (err == ENOSYS)
		return "boot a kernel with CONFIG_IO_URING";
	if (sl_probe_sysctl("/proc/sys/kernel/io_uring_disabled") > 0)
		return "sysctl kernel.io_uring_disabled=0";
	return "allow io_uring in the seccomp or security profile of this process";
}

static void check_uring(struct sl_probe_answer *answer)
{
	struct io_uring_params params = {.flags = 0};

	if (syscall(SYS_io_uring_setup, 4, &params) >= 0)
		answer->ok = true;
	else
		sl_probe_no(answer, uring_fix(errno), "io_uring_setup(): %s",
			    sl_probe_errno(errno));
}

/*
 * Driving devices.
 */

static unsigned entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	for (struct dirent *e; dir && (e = readdir(dir));)
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static void check_iommu(struct sl_probe_answer *answer)
{
	unsigned n = entries("/sys/kernel/iommu_groups");

	if (n)
		sl_probe_yes(answer, "%u groups", n);
	else
		sl_probe_no(answer,
			    "turn on VT-d or AMD-Vi in the firmware, boot with intel_iommu=on; "
			    "in QEMU: -device intel-iommu,intremap=on",
			    "/sys/kernel/iommu_groups is empty");
}

static void check_vfio(struct sl_probe_answer *answer)
{
	const struct sl_probe_node node = {"/dev/vfio/vfio", "vfio", "vfio-pci",
					   "modprobe vfio-pci",
					   "boot a kernel with it: apt install linux-image-amd64"};
	int fd = sl_probe_open(&node, answer);

	if (fd < 0)
		return;
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		sl_probe_no(answer, "boot another kernel", "it speaks another version of VFIO");
	else if (ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		sl_probe_no(answer, "modprobe vfio_iommu_type1", "it has no type 1 IOMMU");
	else if (access("/sys/bus/pci/drivers/vfio-pci", F_OK) < 0)
		sl_probe_no(answer, "modprobe vfio-pci", "the driver vfio-pci is not loaded");
	else
		answer->ok = true;
}

static void check_iommufd(struct sl_probe_answer *answer)
{
	const struct sl_probe_node node = {
		"/dev/iommu", "iommu", "iommufd", "modprobe iommufd",
		"build one with CONFIG_IOMMUFD (Debian's 6.1 and 6.12 lack it)"};

	answer->ok = sl_probe_open(&node, answer) >= 0;
}

static void check_uio_msix(struct sl_probe_answer *answer)
{
	if (access("/sys/bus/pci/drivers/uio_msix", F_OK) == 0)
		sl_probe_yes(answer, "%u devices", entries("/dev/uio_msix"));
	else
		sl_probe_no(answer,
			    sl_probe_module("uio_msix") ? "modprobe uio_msix"
							: "build and install it: docs/uio_msix.md",
			    "sluice's driver uio_msix is not loaded");
}

static void check_uio(struct sl_probe_answer *answer)
{
	if (access("/sys/bus/pci/drivers/uio_pci_generic", F_OK) == 0)
		sl_probe_yes(answer, "%u devices", entries("/sys/class/uio"));
	else
		sl_probe_no(answer,
			    sl_probe_module("uio_pci_generic")
				    ? "modprobe uio_pci_generic"
				    : "boot a kernel with it: apt install linux-image-amd64",
			    "the driver uio_pci_generic is not loaded");
}

static bool securityfs_there(void)
{
	struct statfs fs;

	return statfs("/sys/kernel/security", &fs) == 0 && fs.f_type == SECURITYFS_MAGIC;
}

/* With lockdown sysfs hides BARs and config space, and modules must be signed. */
static void check_lockdown(struct sl_probe_answer *answer)
{
	static const char path[] = "/sys/kernel/security/lockdown";
	char line[128];
	bool known = sl_probe_first_line(path, line, sizeof(line));
	int err = errno;

	if (known && strstr(line, "[none]"))
		answer->ok = true;
	else if (known)
		sl_probe_no(answer, "turn off Secure Boot, or boot without lockdown=",
			    "lockdown says %s: own modules and BARs in sysfs are refused", line);
	else if (!securityfs_there())
		sl_probe_no(answer, "mount -t securityfs securityfs /sys/kernel/security",
			    "cannot tell: no securityfs on /sys/kernel/security");
	else if (err == ENOENT)
		sl_probe_yes(answer, "this kernel has none");
	else
		sl_probe_no(answer, "run as root", "cannot tell: opening %s: %s", path,
			    sl_probe_errno(err));
}

/*
 * Being a device.
 */

static void check_vduse(struct sl_probe_answer *answer)
{
	const struct sl_probe_node node = {
		"/dev/vduse/control", "vduse", "vduse", "modprobe -a vduse virtio_vdpa",
		"boot Debian's 6.12: apt install linux-image-6.12-amd64"};
	int fd = sl_probe_open(&node, answer);
	uint64_t version;

	if (fd < 0)
		return;
	if (ioctl(fd, VDUSE_GET_API_VERSION, &version) < 0)
		sl_probe_no(answer, "boot another kernel", "VDUSE_GET_API_VERSION: %s",
			    sl_probe_errno(errno));
	else if (access("/sys/bus/vdpa/drivers/virtio_vdpa", F_OK) < 0)
		sl_probe_no(answer, "modprobe virtio_vdpa", "the driver virtio_vdpa is not loaded");
	else
		answer->ok = true;
}

static void check_vhost_net(struct sl_probe_answer *answer)
{
	const struct sl_probe_node node = {"/dev/vhost-net", "vhost-net", "vhost_net",
					   "modprobe vhost_net",
					   "boot a kernel with it: apt install linux-image-amd64"};
	int fd = sl_probe_open(&node, answer);
	uint64_t features;

	if (fd < 0)
		return;
	if (ioctl(fd, VHOST_GET_FEATURES, &features) < 0)
		sl_probe_no(answer, "boot another kernel", "VHOST_GET_FEATURES: %s",
			    sl_probe_errno(errno));
	else
		answer->ok = true;
}

/* All that vhost-user needs: memory with a descriptor, and a socket that carries it. */
static void check_vhost_user(struct sl_probe_answer *answer)
{
	static const char fix[] = "look at the limits and the seccomp filter of this process";
	int fd = memfd_create("sluice-probe", MFD_CLOEXEC), pair[2];

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		sl_probe_no(answer, fix, "memfd_create(): %s", sl_probe_errno(errno));
	else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		sl_probe_no(answer, fix, "socketpair(AF_UNIX): %s", sl_probe_errno(errno));
	else
		answer->ok = true;
}

static void check_kvm(struct sl_probe_answer *answer)
{
	const struct sl_probe_node node = {
		"/dev/kvm", "kvm", "kvm", "modprobe kvm_intel || modprobe kvm_amd",
		"turn on VT-x or AMD-V in the firmware, or nesting on the host"};
	int fd = sl_probe_open(&node, answer);

	if (fd < 0)
		return;
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		sl_probe_no(answer, "boot another kernel", "it speaks another version of KVM");
	else if (ioctl(fd, KVM_CREATE_VM, 0) < 0)
		sl_probe_no(answer, "use QEMU's -accel tcg", "KVM_CREATE_VM: %s",
			    sl_probe_errno(errno));
	else
		answer->ok = true;
}

/*
 * The processor.
 */

static void check_cpu(struct sl_probe_answer *answer)
{
	char line[8192], word[32], *last;

	snprintf(word, sizeof(word), " %s ", answer->check->word);
	if (!sl_probe_line_with("/proc/cpuinfo", "flags\t", line, sizeof(line) - 1)) {
		sl_probe_no(answer, "none: sluice asks x86 only",
			    "no line of flags in /proc/cpuinfo");
		return;
	}
	last = line + strcspn(line, "\n");
	strcpy(last, " ");
	answer->ok = strstr(line, word);
	if (!answer->ok)
		sl_probe_no(answer, "another processor; in QEMU: -cpu host or max",
			    "no flag %s in /proc/cpuinfo", answer->check->word);
}

/*
 * Encryption.
 */

static const char *used_for(enum sl_cipher cipher, const uint8_t key[AEAD_KEY_LEN])
{
	const char *name = "nothing";
	struct sl_aead *aead;

	if (!sl_aead_create(NULL, cipher, key, true, &aead)) {
		name = sl_aead_name(aead);
		sl_aead_release(aead);
	}
	return name;
}

/* Is the first of the back ends that there could be in use? */
static void check_aead(struct sl_probe_answer *answer)
{
	static const uint8_t key[AEAD_KEY_LEN];
	const char *gcm = used_for(SL_CIPHER_AES_256_GCM, key);
	const char *chacha = used_for(SL_CIPHER_CHACHA20_POLY1305, key);
	const struct sl_aead_ops *first = sl_aead_at(0);
	struct sl_aead *aead;

	if (first == &sl_aead_openssl) {
		sl_probe_no(answer, "on x86-64: apt install libipsec-mb-dev, build sluice again",
			    "AES-256-GCM by %s, CHACHA20-POLY1305 by %s: "
			    "this sluice was built without libipsec-mb",
			    gcm, chacha);
	} else if (sl_aead_create(first, SL_CIPHER_AES_256_GCM, key, true, &aead)) {
		sl_probe_no(answer,
			    "another processor, with AES-NI and PCLMULQDQ; "
			    "in QEMU: -cpu host or max",
			    "AES-256-GCM by %s, CHACHA20-POLY1305 by %s: %s", gcm, chacha,
			    sl_reason());
	} else {
		sl_aead_release(aead);
		sl_probe_yes(answer, "AES-256-GCM by %s, CHACHA20-POLY1305 by %s", gcm, chacha);
	}
}

/* clang-format off */
const struct sl_probe_check sl_probe_machine[] = {
	{"Memory", "huge-pages", check_huge_pages, 0, NULL},
	{"Memory", "memfd-huge", check_memfd_huge, 0, NULL},
	{"Memory", "thp", check_thp, 0, NULL},
	{"Memory", "memlock", check_memlock, 0, NULL},
	{"Memory", "userfaultfd", check_userfaultfd, 0, NULL},
	{"Kernel", "io-uring", check_uring, 0, NULL},
	{"Kernel", "no-lockdown", check_lockdown, 0, NULL},
	{"Kernel", "kvm", check_kvm, 0, NULL},
	{"Drive a device", "iommu", check_iommu, 0, NULL},
	{"Drive a device", "vfio", check_vfio, 0, NULL},
	{"Drive a device", "iommufd", check_iommufd, 0, NULL},
	{"Drive a device", "uio-msix", check_uio_msix, 0, NULL},
	{"Drive a device", "uio", check_uio, 0, NULL},
	{"Be a device", "vduse", check_vduse, 0, NULL},
	{"Be a device", "vhost-net", check_vhost_net, 0, NULL},
	{"Be a device", "vhost-user", check_vhost_user, 0, NULL},
	{"Processor", "aes", check_cpu, 0, "aes"},
	{"Processor", "vaes", check_cpu, 0, "vaes"},
	{"Processor", "pclmul", check_cpu, 0, "pclmulqdq"},
	{"Processor", "vpclmul", check_cpu, 0, "vpclmulqdq"},
	{"Encryption", "aead", check_aead, 0, NULL},
	{NULL, NULL, NULL, 0, NULL},
};
/* clang-format on */
