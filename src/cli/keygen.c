/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice keygen: who this end of a tunnel is. */
#include <getopt.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <sluice/identity.h>
#include <sluice/reason.h>

#include "cli/cli.h"

struct options {
	const char *out;
	const char *show;
	bool json;
};

const char *const sl_keygen_options[] = {"--out", "--show", "--json", "--help", NULL};

static const char help[] =
	"Usage: sluice keygen --out DIR [--json]\n"
	"       sluice keygen --show DIR [--json]\n"
	"\n"
	"Makes a key and a certificate for one end of a tunnel, and prints the fingerprint\n"
	"by which the other end knows it.\n"
	"\n"
	"Options:\n"
	"  --out DIR    write DIR/key.pem and DIR/cert.pem; what exists is never overwritten\n"
	"  --show DIR   print the fingerprint of those that are there\n"
	"  --json       one JSON object: the fingerprint and the two files\n"
	"  -h, --help   this\n"
	"\n"
	"Examples:\n"
	"  sluice keygen --out /etc/sluice/me\n"
	"  sluice keygen --show /etc/sluice/me\n"
	"  sluice keygen --json --out here\n"
	"\n"
	"A tunnel is given identity=DIR, and its peer= is the other end's fingerprint. OpenVPN\n"
	"takes the files as --key and --cert, the fingerprint as --peer-fingerprint.\n";

static int parse_option(int c, char **argv, struct options *o)
{
	switch (c) {
	case 'o':
		o->out = optarg;
		return 0;
	case 's':
		o->show = optarg;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 'h':
		fputs(help, stdout);
		return -1;
	default:
		if (optopt && c == '?' && strncmp(argv[optind - 1], "--", 2))
			return sl_usage_error("keygen", "no option \"-%c\"", optopt);
		return sl_bad_option("keygen", argv[optind - 1], sl_keygen_options);
	}
}

/* Returns 0, an exit status, or -1 when help was given and there is no more to do. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"out", required_argument, NULL, 'o'},
		{"show", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL},
	};
	int c, ret = 0;

	opterr = 0;
	while (!ret && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		ret = parse_option(c, argv, o);
	if (ret)
		return ret;
	if (optind < argc)
		return sl_usage_error("keygen",
				      "\"%s\" is too much: a folder is given with --out "
				      "or --show",
				      argv[optind]);
	if (!o->out == !o->show)
		return sl_usage_error("keygen", "one of --out DIR and --show DIR is needed");
	return 0;
}

static void print_json(const char *dir, const char *fingerprint)
{
	struct json_object *all = json_object_new_object();
	char path[PATH_MAX];

	json_object_object_add(all, "fingerprint", json_object_new_string(fingerprint));
	snprintf(path, sizeof(path), "%s/key.pem", dir);
	json_object_object_add(all, "key", json_object_new_string(path));
	snprintf(path, sizeof(path), "%s/cert.pem", dir);
	json_object_object_add(all, "certificate", json_object_new_string(path));
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
							 JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
}

int sl_cmd_keygen(int argc, char **argv)
{
	char fingerprint[SL_FINGERPRINT_SIZE];
	struct options o = {0};
	const char *dir;
	int ret = parse(argc, argv, &o);

	if (ret)
		return ret < 0 ? EXIT_OK : ret;
	dir = o.out ? o.out : o.show;
	ret = o.out ? sl_identity_generate(dir, fingerprint) : sl_identity_show(dir, fingerprint);
	if (ret) {
		fprintf(stderr, "sluice keygen: %s\n", sl_reason());
		return EXIT_FAILED;
	}
	if (o.json)
		print_json(dir, fingerprint);
	else
		puts(fingerprint);
	if (o.out && !o.json)
		fprintf(stderr,
			"sluice keygen: wrote %s/key.pem (keep it secret) and %s/cert.pem. Give the "
			"tunnel identity=%s here, and peer=%s at the other end.\n",
			dir, dir, dir, fingerprint);
	return EXIT_OK;
}
