/* SPDX-License-Identifier: BSD-2-Clause */
/* Identities: made, loaded, refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <sluice/reason.h>

#include "tunnel/identity.h"

#define FILE_MAX 65536

static char top[] = "/tmp/test_identity-XXXXXX";
static unsigned folders;

/* A folder's name that was never used; it lasts for a few calls. */
static const char *fresh(void)
{
	static char names[4][64];
	char *name = names[folders % 4];

	snprintf(name, sizeof(names[0]), "%s/%u", top, folders++);
	return name;
}

static const char *in(const char *dir, const char *file)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, file);
	return path;
}

static void put(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static size_t get(const char *path, char *to, size_t room)
{
	FILE *file = fopen(path, "r");
	size_t len;

	assert_non_null(file);
	len = fread(to, 1, room, file);
	fclose(file);
	return len;
}

static mode_t mode(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static bool absent(const char *path)
{
	return access(path, F_OK) < 0 && errno == ENOENT;
}

#define says(...) says_all((const char *const[]){__VA_ARGS__, NULL}, __LINE__)

static void says_all(const char *const *words, int line)
{
	for (; *words; words++)
		if (!strstr(sl_reason(), *words))
			fail_msg("line %d: no \"%s\" in \"%s\"", line, *words, sl_reason());
}

static const char *generate(void)
{
	char fingerprint[SL_FINGERPRINT_SIZE];
	const char *dir = fresh();

	assert_int_equal(sl_identity_generate(dir, fingerprint), 0);
	return dir;
}

static int load_fails(const char *dir)
{
	struct identity identity;
	char shown[SL_FINGERPRINT_SIZE];
	int ret = sl_identity_load(dir, &identity);

	assert_true(ret < 0);
	assert_null(identity.key);
	assert_null(identity.cert);
	assert_int_equal(sl_identity_show(dir, shown), ret);
	return ret;
}

/*
 * Making.
 */

static void test_generate(void **state)
{
	char made[SL_FINGERPRINT_SIZE], shown[SL_FINGERPRINT_SIZE], loaded[SL_FINGERPRINT_SIZE];
	const char *dir = fresh();
	struct identity identity;

	(void)state;
	assert_int_equal(sl_identity_generate(dir, made), 0);
	assert_int_equal(strlen(made), 95);
	assert_int_equal(mode(dir), 0700);
	assert_int_equal(mode(in(dir, "key.pem")), 0600);
	assert_int_equal(mode(in(dir, "cert.pem")), 0600);
	assert_int_equal(sl_identity_show(dir, shown), 0);
	assert_string_equal(made, shown);
	assert_int_equal(sl_identity_load(dir, &identity), 0);
	sl_fingerprint_format(identity.fingerprint, loaded);
	assert_string_equal(made, loaded);
	sl_identity_unload(&identity);
	assert_null(identity.key);
	sl_identity_unload(&identity);
}

static void test_certificate(void **state)
{
	static const uint8_t nothing[FINGERPRINT_LEN];
	struct identity a, b;
	ASN1_TIME *now = X509_time_adj_ex(NULL, 0, 0, NULL), *later;
	const ASN1_INTEGER *serial;
	int day, sec;

	(void)state;
	assert_int_equal(sl_identity_load(generate(), &a), 0);
	assert_int_equal(sl_identity_load(generate(), &b), 0);
	assert_int_equal(X509_get_version(a.cert), X509_VERSION_3);
	assert_int_equal(X509_verify(a.cert, a.key), 1);
	assert_int_equal(EVP_PKEY_get_bits(a.key), 384);
	assert_true(X509_get_extension_flags(a.cert) & EXFLAG_SS);
	assert_false(X509_get_extension_flags(a.cert) & EXFLAG_CA);
	assert_int_equal(X509_get_key_usage(a.cert), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(a.cert), XKU_SSL_SERVER | XKU_SSL_CLIENT);
	serial = X509_get0_serialNumber(a.cert);
	assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER); /* and not a negative one */
	assert_true(ASN1_STRING_length(serial) <= 16 && ASN1_STRING_length(serial) > 8);
	assert_int_not_equal(ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(b.cert)), 0);
	assert_int_equal(X509_cmp_time(X509_get0_notBefore(a.cert), NULL), -1);
	later = X509_time_adj_ex(NULL, 365 * 100, 0, NULL);
	assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(a.cert), later), 1);
	assert_true(ASN1_TIME_diff(&day, &sec, X509_get0_notBefore(a.cert), now) && day >= 1);
	assert_memory_not_equal(a.fingerprint, b.fingerprint, FINGERPRINT_LEN);
	assert_memory_not_equal(a.fingerprint, nothing, FINGERPRINT_LEN);
	ASN1_STRING_free(now);
	ASN1_STRING_free(later);
	sl_identity_unload(&a);
	sl_identity_unload(&b);
}

static void test_umask(void **state)
{
	mode_t was = umask(0277);
	const char *dir = generate();

	(void)state;
	umask(0);
	assert_int_equal(mode(dir), 0700);
	assert_int_equal(mode(in(dir, "key.pem")), 0600);
	dir = generate();
	umask(was);
	assert_int_equal(mode(dir), 0700);
	assert_int_equal(mode(in(dir, "key.pem")), 0600);
	assert_int_equal(mode(in(dir, "cert.pem")), 0600);
}

/* A folder that is there keeps its mode and what else is in it. */
static void test_folder_there(void **state)
{
	char fingerprint[SL_FINGERPRINT_SIZE];
	const char *dir = fresh();

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	put(in(dir, "other"), "x", 1);
	assert_int_equal(sl_identity_generate(dir, fingerprint), 0);
	assert_int_equal(mode(dir), 0755);
	assert_false(absent(in(dir, "other")));
	assert_int_equal(sl_identity_show(dir, fingerprint), 0);
}

static void test_exists(void **state)
{
	char fingerprint[SL_FINGERPRINT_SIZE], before[SL_FINGERPRINT_SIZE];
	const char *dir = generate();

	(void)state;
	assert_int_equal(sl_identity_show(dir, before), 0);
	assert_int_equal(sl_identity_generate(dir, fingerprint), -EEXIST);
	says(in(dir, "key.pem"), "--out", "remove");
	assert_int_equal(sl_identity_show(dir, fingerprint), 0);
	assert_string_equal(fingerprint, before);

	/* Half of one: the other half is not left behind. */
	assert_int_equal(unlink(in(dir, "key.pem")), 0);
	assert_int_equal(sl_identity_generate(dir, fingerprint), -EEXIST);
	says(in(dir, "cert.pem"), "--out", "remove");
	assert_true(absent(in(dir, "key.pem")));
	assert_false(absent(in(dir, "cert.pem")));
}

/* What a link points to is not written. */
static void test_symlink_there(void **state)
{
	static const char *const files[] = {"key.pem", "cert.pem"};
	char fingerprint[SL_FINGERPRINT_SIZE];

	(void)state;
	for (int n = 0; n < 2; n++) {
		const char *dir = fresh();

		assert_int_equal(mkdir(dir, 0700), 0);
		assert_int_equal(symlink("target", in(dir, files[n])), 0);
		assert_int_equal(sl_identity_generate(dir, fingerprint), -EEXIST);
		says(files[n]);
		assert_true(absent(in(dir, "target")));
		assert_true(absent(in(dir, files[!n])));
	}
}

static void test_cannot_write(void **state)
{
	char fingerprint[SL_FINGERPRINT_SIZE], far[128];
	const char *dir;

	(void)state;
	snprintf(far, sizeof(far), "%s/a", fresh());
	assert_int_equal(sl_identity_generate(far, fingerprint), -ENOENT);
	says(far, "No such file");
	dir = fresh();
	put(dir, "x", 1);
	assert_int_equal(sl_identity_generate(dir, fingerprint), -ENOTDIR);
	says(dir, "Not a directory");
	assert_int_equal(sl_identity_generate("", fingerprint), -ENOENT);
	assert_int_equal(sl_identity_generate("/proc", fingerprint), -ENOENT);
	says("/proc/key.pem");
}

/* A disk that is full at the key, then at the certificate: nothing is left of either. */
static void test_full(void **state)
{
	static const rlim_t limits[] = {0, 100, 400};
	char fingerprint[SL_FINGERPRINT_SIZE];
	struct rlimit was, small;
	int ret;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	for (int n = 0; n < 6; n++) {
		const char *dir = fresh();

		if (n & 1)
			assert_int_equal(mkdir(dir, 0700), 0);
		small = (struct rlimit){limits[n / 2], was.rlim_max};
		setrlimit(RLIMIT_FSIZE, &small);
		ret = sl_identity_generate(dir, fingerprint);
		setrlimit(RLIMIT_FSIZE, &was);
		assert_int_equal(ret, -EFBIG);
		says(limits[n / 2] < 400 ? "key.pem" : "cert.pem", "File too large");
		if (n & 1)
			assert_int_equal(rmdir(dir), 0);
		else
			assert_true(absent(dir));
	}
}

/*
 * Loading.
 */

static void test_modes(void **state)
{
	static const mode_t good[] = {0600, 0400, 0700},
			    bad[] = {0640, 0620, 0610, 0604, 0602, 0601};
	char fingerprint[SL_FINGERPRINT_SIZE], fix[160];
	const char *dir = generate();

	(void)state;
	for (size_t n = 0; n < sizeof(good) / sizeof(*good); n++) {
		assert_int_equal(chmod(in(dir, "key.pem"), good[n]), 0);
		assert_int_equal(sl_identity_show(dir, fingerprint), 0);
	}
	snprintf(fix, sizeof(fix), "chmod 600 %s/key.pem", dir);
	for (size_t n = 0; n < sizeof(bad) / sizeof(*bad); n++) {
		assert_int_equal(chmod(in(dir, "key.pem"), bad[n]), 0);
		assert_int_equal(load_fails(dir), -EPERM);
		says(fix);
	}
	assert_int_equal(chmod(in(dir, "key.pem"), 0600), 0);
	assert_int_equal(chmod(in(dir, "cert.pem"), 0644), 0); /* that is no secret */
	assert_int_equal(sl_identity_show(dir, fingerprint), 0);
}

static void test_owner(void **state)
{
	char fingerprint[SL_FINGERPRINT_SIZE];
	const char *dir = generate();

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can give a file away */
	assert_int_equal(chown(in(dir, "key.pem"), 65534, 65534), 0);
	assert_int_equal(load_fails(dir), -EPERM);
	says("user 65534", "chown 0 ", in(dir, "key.pem"));
	assert_int_equal(chown(in(dir, "key.pem"), 0, 65534), 0);
	assert_int_equal(sl_identity_show(dir, fingerprint), 0);
}

static void test_unreadable(void **state)
{
	static const char *const files[] = {"key.pem", "cert.pem"};
	const char *dir = fresh();

	(void)state;
	assert_int_equal(load_fails(dir), -ENOENT);
	says(in(dir, "key.pem"), "No such file", "sluice keygen --out");
	assert_int_equal(load_fails(""), -ENOENT);
	for (int n = 0; n < 2; n++) {
		dir = generate();
		assert_int_equal(unlink(in(dir, files[n])), 0);
		assert_int_equal(load_fails(dir), -ENOENT);
		says(in(dir, files[n]), "No such file");
		assert_int_equal(symlink(files[n], in(dir, files[n])), 0);
		assert_int_equal(load_fails(dir), -ELOOP);
		says(in(dir, files[n]));
		assert_int_equal(unlink(in(dir, files[n])), 0);
		assert_int_equal(mkdir(in(dir, files[n]), 0700), 0);
		assert_int_equal(load_fails(dir), -EINVAL);
		says(in(dir, files[n]), "no regular file");
		assert_int_equal(rmdir(in(dir, files[n])), 0);
		assert_int_equal(mkfifo(in(dir, files[n]), 0600), 0); /* and it does not wait */
		assert_int_equal(load_fails(dir), -EINVAL);
		says(in(dir, files[n]), "no regular file");
	}
}

/* What a link leads to counts, its mode as well. */
static void test_symlink(void **state)
{
	char fingerprint[SL_FINGERPRINT_SIZE], elsewhere[128];
	const char *dir = generate();

	(void)state;
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere.pem", top);
	assert_int_equal(rename(in(dir, "key.pem"), elsewhere), 0);
	assert_int_equal(symlink(elsewhere, in(dir, "key.pem")), 0);
	assert_int_equal(sl_identity_show(dir, fingerprint), 0);
	assert_int_equal(chmod(elsewhere, 0644), 0);
	assert_int_equal(load_fails(dir), -EPERM);
	assert_int_equal(unlink(elsewhere), 0);
}

static void test_too_large(void **state)
{
	static const char *const files[] = {"key.pem", "cert.pem"};
	static char text[FILE_MAX + 1];
	char fingerprint[SL_FINGERPRINT_SIZE];

	(void)state;
	for (int n = 0; n < 2; n++) {
		const char *dir = generate();

		/* What stands behind the PEM is nobody's business, up to the bound. */
		memset(text, '\n', sizeof(text));
		get(in(dir, files[n]), text, sizeof(text));
		put(in(dir, files[n]), text, FILE_MAX);
		assert_int_equal(sl_identity_show(dir, fingerprint), 0);
		put(in(dir, files[n]), text, FILE_MAX + 1);
		assert_int_equal(load_fails(dir), -EINVAL);
		says(in(dir, files[n]), "65536");
	}
}

static void test_malformed(void **state)
{
	static const char *const files[] = {"key.pem", "cert.pem"};
	char text[2048];

	(void)state;
	for (int n = 0; n < 2; n++) {
		const char *dir = generate();
		size_t len = get(in(dir, files[n]), text, sizeof(text));

		for (size_t cut = 0; cut < len - 1; cut += 1 + cut / 8) {
			put(in(dir, files[n]), text, cut);
			assert_int_equal(load_fails(dir), -EINVAL);
			says(in(dir, files[n]),
			     n ? "no certificate in PEM: " : "no private key in PEM: ");
		}
		text[len / 2] = '!';
		put(in(dir, files[n]), text, len);
		assert_int_equal(load_fails(dir), -EINVAL);
		memset(text, 0, sizeof(text));
		put(in(dir, files[n]), text, sizeof(text));
		assert_int_equal(load_fails(dir), -EINVAL);
	}
}

static void test_swapped(void **state)
{
	char text[2048];
	const char *dir = generate();
	size_t len = get(in(dir, "cert.pem"), text, sizeof(text));

	(void)state;
	put(in(dir, "key.pem"), text, len);
	assert_int_equal(load_fails(dir), -EINVAL);
	says(in(dir, "key.pem"), "no private key");
}

static void test_mismatch(void **state)
{
	char text[2048];
	size_t len = get(in(generate(), "cert.pem"), text, sizeof(text));
	const char *dir = generate();

	(void)state;
	put(in(dir, "cert.pem"), text, len);
	assert_int_equal(load_fails(dir), -EINVAL);
	says(in(dir, "key.pem"), in(dir, "cert.pem"), "do not belong together");
}

/* Keys that others have made. @cipher encrypts, NULL does not. */
static const char *foreign(EVP_PKEY *key, const EVP_CIPHER *cipher, bool traditional)
{
	const char *dir = fresh();
	const unsigned char *pass = (const unsigned char *)"pass";
	X509 *cert = X509_new();
	BIO *file;

	assert_non_null(key);
	assert_int_equal(mkdir(dir, 0700), 0);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	assert_true(X509_set_pubkey(cert, key));
	assert_true(X509_sign(cert, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()));
	file = BIO_new_file(in(dir, "cert.pem"), "w");
	assert_true(PEM_write_bio_X509(file, cert));
	BIO_free(file);
	file = BIO_new_file(in(dir, "key.pem"), "w");
	if (traditional)
		assert_true(PEM_write_bio_PrivateKey_traditional(file, key, cipher, pass, 4, NULL,
								 NULL));
	else
		assert_true(
			PEM_write_bio_PKCS8PrivateKey(file, key, cipher, "pass", 4, NULL, NULL));
	BIO_free(file);
	assert_int_equal(chmod(in(dir, "key.pem"), 0600), 0);
	X509_free(cert);
	EVP_PKEY_free(key);
	return dir;
}

static void test_foreign(void **state)
{
	char fingerprint[SL_FINGERPRINT_SIZE];

	(void)state;
	assert_int_equal(sl_identity_show(foreign(EVP_EC_gen("P-256"), NULL, false), fingerprint),
			 0);
	assert_int_equal(sl_identity_show(foreign(EVP_EC_gen("P-521"), NULL, true), fingerprint),
			 0);
	assert_int_equal(sl_identity_show(foreign(EVP_RSA_gen(2048), NULL, false), fingerprint), 0);
	assert_int_equal(
		sl_identity_show(foreign(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, false),
				 fingerprint),
		0);
}

static void test_weak(void **state)
{
	(void)state;
	assert_int_equal(load_fails(foreign(EVP_RSA_gen(1024), NULL, false)), -EINVAL);
	says("RSA with 1024 bits", "2048");
	assert_int_equal(load_fails(foreign(EVP_EC_gen("P-192"), NULL, false)), -EINVAL);
	says("EC with 192 bits");
}

static void test_encrypted(void **state)
{
	(void)state;
	for (int traditional = 0; traditional < 2; traditional++) {
		EVP_PKEY *key = EVP_EC_gen("P-384");

		assert_int_equal(load_fails(foreign(key, EVP_aes_256_cbc(), traditional)), -EINVAL);
		says("encrypted", "passphrase", "openssl pkey");
	}
}

/* X509_check_private_key() would be content with it. */
static void test_public_key(void **state)
{
	const char *dir = generate();
	struct identity identity;
	FILE *file;

	(void)state;
	assert_int_equal(sl_identity_load(dir, &identity), 0);
	file = fopen(in(dir, "key.pem"), "w");
	assert_true(PEM_write_PUBKEY(file, identity.key));
	fclose(file);
	sl_identity_unload(&identity);
	assert_int_equal(load_fails(dir), -EINVAL);
	says("no private key");
}

static void test_path_too_long(void **state)
{
	static char dir[5000];
	struct identity identity;
	char fingerprint[SL_FINGERPRINT_SIZE];

	(void)state;
	memset(dir, 'x', sizeof(dir) - 1);
	assert_int_equal(sl_identity_load(dir, &identity), -ENAMETOOLONG);
	assert_int_equal(sl_identity_generate(dir, fingerprint), -ENAMETOOLONG);
}

/*
 * Fingerprints.
 */

#define PAIRS_8(a)     a a a a a a a a
#define COLONS_31(a)   PAIRS_8(a) PAIRS_8(a) PAIRS_8(a) a a a a a a a
#define FINGERPRINT(a) PAIRS_8(a) PAIRS_8(a) PAIRS_8(a) PAIRS_8(a)

static void test_formats(void **state)
{
	uint8_t bytes[FINGERPRINT_LEN], parsed[FINGERPRINT_LEN];
	char text[SL_FINGERPRINT_SIZE], plain[65];

	(void)state;
	for (int n = 0; n < FINGERPRINT_LEN; n++)
		bytes[n] = (uint8_t)(n * 37 + 1);
	sl_fingerprint_format(bytes, text);
	assert_int_equal(strlen(text), 95);
	assert_memory_equal(text, "01:26:4B:70:95:BA:DF:", 21);
	assert_int_equal(sl_fingerprint_parse(text, parsed), 0);
	assert_memory_equal(parsed, bytes, sizeof(bytes));
	for (int n = 0; n < FINGERPRINT_LEN; n++)
		snprintf(plain + 2 * n, 3, n & 1 ? "%02X" : "%02x", bytes[n]);
	assert_int_equal(sl_fingerprint_parse(plain, parsed), 0);
	assert_memory_equal(parsed, bytes, sizeof(bytes));
}

static void test_wrong_fingerprints(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"", "ends after 0 characters"},
		{"a", "ends after 1 characters"},
		{"ab", "ends after 2 characters"},
		{"ab:", "ends after 3 characters"},
		{COLONS_31("ab:"), "ends after 93 characters"},
		{COLONS_31("ab:") "a", "ends after 94 characters"},
		{COLONS_31("ab"), "ends after 62 characters"},
		{COLONS_31("ab") "a", "ends after 63 characters"},
		{FINGERPRINT("ab") "a", "\"a\" at position 65, not its end"},
		{FINGERPRINT("ab") ":", "\":\" at position 65, not its end"},
		{FINGERPRINT("ab:"), "\":\" at position 96, not its end"},
		{COLONS_31("ab:") "abcd", "\"c\" at position 96, not its end"},
		{"ab:cdef", "\"e\" at position 6, not a colon"},
		{"abcd:ef", "\":\" at position 5, not a hex digit"},
		{"a:bc", "\":\" at position 2, not a hex digit"},
		{":ab", "\":\" at position 1, not a hex digit"},
		{"ab::cd", "\":\" at position 4, not a hex digit"},
		{"ab cd", "\" \" at position 3, not a hex digit"},
		{" ab", "\" \" at position 1"},
		{"0x12", "\"x\" at position 2"},
		{"sha256 Fingerprint=AB", "\"s\" at position 1"},
		{"abg", "\"g\" at position 3"},
		{"ab\n", "byte 0x0a at position 3"},
		{"\xc3\xa4", "byte 0xc3 at position 1"},
	};
	uint8_t out[FINGERPRINT_LEN], before[FINGERPRINT_LEN];

	(void)state;
	memset(out, 0x55, sizeof(out));
	memcpy(before, out, sizeof(out));
	for (size_t n = 0; n < sizeof(bad) / sizeof(*bad); n++) {
		size_t size = strlen(bad[n].text) + 1;
		char *exact = memcpy(malloc(size), bad[n].text, size);

		assert_int_equal(sl_fingerprint_parse(exact, out), -EINVAL);
		says(bad[n].says, "sluice keygen", "64 hex digits");
		assert_memory_equal(out, before, sizeof(out));
		free(exact);
	}
}

/* Nothing behind the 96th byte is read: it need not even end. */
static void test_endless_fingerprint(void **state)
{
	char *text = malloc(96);
	uint8_t out[FINGERPRINT_LEN];

	(void)state;
	memcpy(text, FINGERPRINT("ab:"), 96);
	assert_int_equal(sl_fingerprint_parse(text, out), -EINVAL);
	free(text);
}

static int make_top(void **state)
{
	(void)state;
	return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
	static const char *const files[] = {"key.pem", "cert.pem", "other", ""};

	(void)state;
	for (unsigned n = 0; n < folders; n++) {
		char dir[64], path[128];

		snprintf(dir, sizeof(dir), "%s/%u", top, n);
		for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++) {
			snprintf(path, sizeof(path), "%s/%s", dir, files[f]);
			remove(path);
		}
		remove(dir);
	}
	return rmdir(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generate),
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_umask),
		cmocka_unit_test(test_folder_there),
		cmocka_unit_test(test_exists),
		cmocka_unit_test(test_symlink_there),
		cmocka_unit_test(test_cannot_write),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_symlink),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_swapped),
		cmocka_unit_test(test_mismatch),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_weak),
		cmocka_unit_test(test_encrypted),
		cmocka_unit_test(test_public_key),
		cmocka_unit_test(test_path_too_long),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_wrong_fingerprints),
		cmocka_unit_test(test_endless_fingerprint),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
