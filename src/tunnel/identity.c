/* SPDX-License-Identifier: BSD-2-Clause */
/* key.pem and cert.pem. */
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/reason.h"
#include "tunnel/identity.h"
#include "tunnel/openssl.h"

#define FILE_MAX      (64u << 10)
#define SECURITY_BITS 112 /* what RSA of 2048 bits gives (NIST SP 800-57 part 1, 5.6.1) */
#define SERIAL_BITS   128
#define DAY	      (24 * 60 * 60L)

static const char key_name[] = "key.pem", cert_name[] = "cert.pem";

static int no_memory(void)
{
	return sl_fail(ENOMEM, "no memory for an identity");
}

static int set_fingerprint(struct identity *identity)
{
	return X509_digest(identity->cert, EVP_sha256(), identity->fingerprint, NULL) ? 0
										      : no_memory();
}

/*
 * Loading.
 */

static int cannot_read(const char *path)
{
	int err = errno;

	return sl_fail(err, "cannot read %s: %s%s", path, strerror(err),
		       err == ENOENT ? "; sluice keygen --out DIR makes an identity" : "");
}

static int check_secret(const struct stat *st, const char *path)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return sl_fail(EPERM,
			       "%s belongs to user %u, who can read and change it: chown %u %s",
			       path, st->st_uid, geteuid(), path);
	if (st->st_mode & 077)
		return sl_fail(EPERM, "%s is open to others (mode %04o): chmod 600 %s", path,
			       st->st_mode & 07777u, path);
	return 0;
}

static int check_file(int fd, const char *path, bool secret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return cannot_read(path);
	if (!S_ISREG(st.st_mode))
		return sl_fail(EINVAL, "%s is no regular file", path);
	return secret ? check_secret(&st, path) : 0;
}

/* A memory BIO wipes what it held. */
static int read_all(int fd, const char *path, BIO *to)
{
	char chunk[4096];
	size_t len = 0;
	ssize_t got;
	int ret = 0;

	while (!ret && (got = read(fd, chunk, sizeof(chunk))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			ret = cannot_read(path);
		else if ((len += (size_t)got) > FILE_MAX)
			ret = sl_fail(EINVAL,
				      "%s is larger than %u bytes: no key or certificate is", path,
				      FILE_MAX);
		else if (BIO_write(to, chunk, (int)got) != got)
			ret = no_memory();
	}
	OPENSSL_cleanse(chunk, sizeof(chunk));
	return ret;
}

static int read_file(const char *path, bool secret, BIO **out)
{
	/* Non-blocking: a FIFO must not hold us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), ret;
	BIO *bio;

	if (fd < 0)
		return cannot_read(path);
	bio = BIO_new(BIO_s_mem());
	ret = bio ? check_file(fd, path, secret) : no_memory();
	if (!ret)
		ret = read_all(fd, path, bio);
	sl_fd_close(&fd);
	if (ret) {
		BIO_free(bio);
		return ret;
	}
	BIO_set_mem_eof_return(bio, 0);
	*out = bio;
	return 0;
}

/* Called when the key is encrypted. Nobody is asked. */
static int no_passphrase(char *to, int room, int writing, void *asked)
{
	(void)to, (void)room, (void)writing;
	*(bool *)asked = true;
	return -1;
}

static int check_key(EVP_PKEY *key, const char *path)
{
	bool known = EVP_PKEY_is_a(key, "EC") || EVP_PKEY_is_a(key, "RSA") ||
		     EVP_PKEY_is_a(key, "ED25519");

	if (known && EVP_PKEY_get_security_bits(key) >= SECURITY_BITS)
		return 0;
	return sl_fail(
		EINVAL,
		"%s holds a key of type %s with %d bits: an EC or Ed25519 key is needed, or an "
		"RSA key of 2048 bits or more",
		path, EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
}

static int load_key(const char *path, EVP_PKEY **out)
{
	bool asked = false;
	BIO *bio;
	int ret = read_file(path, true, &bio);

	if (ret)
		return ret;
	ERR_clear_error();
	*out = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	BIO_free(bio);
	if (*out)
		return check_key(*out, path);
	if (asked)
		return sl_fail(
			EINVAL,
			"%s is encrypted and nobody is asked for a passphrase: write it without "
			"one (openssl pkey -in %s -out NEW)",
			path, path);
	return sl_fail(EINVAL, "%s holds no private key in PEM: %s", path, sl_openssl_reason());
}

static int load_cert(const char *path, X509 **out)
{
	BIO *bio;
	int ret = read_file(path, false, &bio);

	if (ret)
		return ret;
	ERR_clear_error();
	*out = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (*out)
		return 0;
	return sl_fail(EINVAL, "%s holds no certificate in PEM: %s", path, sl_openssl_reason());
}

static int join(const char *dir, const char *name, char path[PATH_MAX])
{
	if (!*dir)
		return sl_fail(ENOENT, "the folder of the identity has an empty name");
	if (snprintf(path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX)
		return 0;
	return sl_fail(ENAMETOOLONG, "the folder's name is longer than a path may be");
}

int sl_identity_load(const char *dir, struct identity *out)
{
	char key[PATH_MAX], cert[PATH_MAX];
	struct identity loaded = {0};
	int ret = join(dir, key_name, key);

	if (!ret)
		ret = join(dir, cert_name, cert);
	if (!ret)
		ret = load_key(key, &loaded.key);
	if (!ret)
		ret = load_cert(cert, &loaded.cert);
	if (!ret && X509_check_private_key(loaded.cert, loaded.key) != 1)
		ret = sl_fail(EINVAL, "%s and %s do not belong together", key, cert);
	if (!ret)
		ret = set_fingerprint(&loaded);
	if (ret)
		sl_identity_unload(&loaded);
	*out = loaded;
	return ret;
}

/* OpenSSL wipes a key's secret parts when it frees them. */
void sl_identity_unload(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->cert);
	memset(identity, 0, sizeof(*identity));
}

int sl_identity_show(const char *dir, char fingerprint[SL_FINGERPRINT_SIZE])
{
	struct identity identity;
	int ret = sl_identity_load(dir, &identity);

	if (ret)
		return ret;
	sl_fingerprint_format(identity.fingerprint, fingerprint);
	sl_identity_unload(&identity);
	return 0;
}

/*
 * Making.
 */

static bool set_serial(X509 *cert)
{
	BIGNUM *serial = BN_new();
	bool good = serial && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
		    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));

	BN_free(serial);
	return good;
}

/* A peer that knows us by the fingerprint asks for none of these; one that was also given
 * OpenVPN's --remote-cert-tls does. */
static bool add_extensions(X509 *cert)
{
	static const struct {
		int nid;
		const char *value;
	} rows[] = {
		{NID_basic_constraints, "critical,CA:FALSE"},
		{NID_key_usage, "critical,digitalSignature"},
		{NID_ext_key_usage, "serverAuth,clientAuth"},
	};
	bool good = true;

	for (size_t n = 0; good && n < sl_array_len(rows); n++) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, rows[n].nid, rows[n].value);

		good = e && X509_add_ext(cert, e, -1);
		X509_EXTENSION_free(e);
	}
	return good;
}

/*
 * RFC 5280 4.1.2.5: "To indicate that a certificate has no well-defined expiration date, the
 * notAfter SHOULD be assigned the GeneralizedTime value of 99991231235959Z."
 * From a day ago on: the peer's clock may be behind ours.
 */
static bool fill_cert(X509 *cert, EVP_PKEY *key)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"sluice",
					  -1, -1, 0) &&
	       X509_set_issuer_name(cert, name) &&
	       X509_gmtime_adj(X509_getm_notBefore(cert), -DAY) &&
	       ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), "99991231235959Z") &&
	       X509_set_pubkey(cert, key) && add_extensions(cert) &&
	       X509_sign(cert, key, EVP_sha256());
}

static int make(struct identity *out)
{
	ERR_clear_error();
	out->key = EVP_EC_gen("P-384");
	out->cert = X509_new();
	if (!out->key || !out->cert || !fill_cert(out->cert, out->key))
		return sl_fail(EIO, "cannot make a key and a certificate: %s", sl_openssl_reason());
	return set_fingerprint(out);
}

static int cannot_write(const char *dir, const char *name)
{
	int err = errno;

	return sl_fail(err, "cannot write %s/%s: %s", dir, name, strerror(err));
}

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t done = write(fd, bytes, len);

		if (done < 0 && errno != EINTR)
			return false;
		if (done > 0) {
			bytes += done;
			len -= (size_t)done;
		}
	}
	return true;
}

static int save_file(int folder, const char *dir, const char *name, BIO *pem)
{
	char *bytes;
	size_t len = (size_t)BIO_get_mem_data(pem, &bytes);
	int fd, ret = 0;

	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return sl_fail(EEXIST,
			       "%s/%s is there already and is not overwritten: give another folder "
			       "(--out), or remove it",
			       dir, name);
	if (fd < 0)
		return cannot_write(dir, name);
	/* The mode once more: a umask may have taken bits from it. */
	if (fchmod(fd, 0600) < 0 || !write_all(fd, bytes, len) || fsync(fd) < 0)
		ret = cannot_write(dir, name);
	if (ret)
		unlinkat(folder, name, 0);
	sl_fd_close(&fd);
	return ret;
}

static int save_pem(int folder, const char *dir, const char *name, EVP_PKEY *key, X509 *cert)
{
	BIO *pem = BIO_new(BIO_s_mem());
	int ret;

	if (pem && (key ? PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL)
			: PEM_write_bio_X509(pem, cert)))
		ret = save_file(folder, dir, name, pem);
	else
		ret = no_memory();
	BIO_free(pem);
	return ret;
}

/* fsync(2): EINVAL is a file system's way to say that it has no use for it. */
static int sync_folder(int folder, const char *dir)
{
	if (fsync(folder) < 0 && errno != EINVAL)
		return cannot_write(dir, "");
	return 0;
}

/* A new folder's name is in its parent. Who may not read that has to leave it to the kernel. */
static void sync_parent(int folder)
{
	int parent = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent >= 0)
		fsync(parent);
	sl_fd_close(&parent);
}

static int save(int folder, const char *dir, const struct identity *identity)
{
	int ret = save_pem(folder, dir, key_name, identity->key, NULL);

	if (ret)
		return ret;
	ret = save_pem(folder, dir, cert_name, NULL, identity->cert);
	if (!ret) {
		ret = sync_folder(folder, dir);
		if (ret)
			unlinkat(folder, cert_name, 0);
	}
	if (ret)
		unlinkat(folder, key_name, 0);
	return ret;
}

static int save_in(const char *dir, const struct identity *identity)
{
	bool fresh = mkdir(dir, 0700) == 0;
	int folder, ret;

	if (!fresh && errno != EEXIST)
		return sl_fail(errno, "cannot make folder %s: %s", dir, strerror(errno));
	/* A umask may have taken bits; where this fails, the folder is too closed, not too open. */
	if (fresh)
		fchmodat(AT_FDCWD, dir, 0700, AT_SYMLINK_NOFOLLOW);
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		ret = sl_fail(errno, "cannot open folder %s: %s", dir, strerror(errno));
	else
		ret = save(folder, dir, identity);
	if (!ret && fresh)
		sync_parent(folder);
	if (ret && fresh)
		rmdir(dir);
	sl_fd_close(&folder);
	return ret;
}

int sl_identity_generate(const char *dir, char fingerprint[SL_FINGERPRINT_SIZE])
{
	struct identity made = {0};
	int ret = make(&made);

	if (!ret)
		ret = save_in(dir, &made);
	if (!ret)
		sl_fingerprint_format(made.fingerprint, fingerprint);
	sl_identity_unload(&made);
	return ret;
}
