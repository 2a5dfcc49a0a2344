/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

#include "cli/show_device.h"

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, sl_json_text(text));
}

static void add_bool(struct json_object *o, const char *key, bool yes)
{
	json_object_object_add(o, key, json_object_new_boolean(yes));
}

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static struct json_object *bars(const struct sl_pci_info *info)
{
	struct json_object *list = json_object_new_array(), *o;

	for (unsigned i = 0; i < SL_PCI_RESOURCES; i++) {
		const struct sl_pci_resource *r = &info->resources[i];

		if (!r->len)
			continue;
		o = json_object_new_object();
		json_object_object_add(o, "bar",
				       i < SL_PCI_BARS ? json_object_new_int((int)i) : NULL);
		add_bool(o, "rom", i == SL_PCI_BARS);
		add_bool(o, "memory", r->flags & SL_PCI_RESOURCE_MEM);
		add_bool(o, "address64", r->flags & SL_RESOURCE_MEM64);
		add_bool(o, "prefetchable", r->flags & SL_RESOURCE_PREFETCH);
		add_number(o, "start", r->start);
		add_number(o, "length", r->len);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *caps(const struct sl_pci_config *c)
{
	struct json_object *list = json_object_new_array(), *o;

	for (unsigned i = 0; i < c->n_caps; i++) {
		o = json_object_new_object();
		add_number(o, "id", c->caps[i].id & 0xffff);
		add_bool(o, "extended", c->caps[i].id & SL_PCI_EXTENDED);
		add_number(o, "offset", c->caps[i].offset);
		add_text(o, "name", sl_pci_cap_name(c->caps[i].id));
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *msi(const struct sl_pci_msi *m)
{
	struct json_object *o = json_object_new_object();

	add_number(o, "vectors", m->vectors);
	add_bool(o, "address64", m->address64);
	add_bool(o, "maskable", m->maskable);
	add_bool(o, "enabled", m->enabled);
	return o;
}

static struct json_object *msix(const struct shown *s)
{
	const struct sl_pci_msix *m = &s->d.config.msix;
	struct json_object *o = json_object_new_object();

	add_number(o, "vectors", m->vectors);
	add_number(o, "table_bar", m->table_bar);
	add_number(o, "table_offset", m->table_offset);
	add_number(o, "pba_bar", m->pba_bar);
	add_number(o, "pba_offset", m->pba_offset);
	add_bool(o, "enabled", m->enabled);
	add_text(o, "problem", s->msix_problem);
	return o;
}

static struct json_object *config(const struct shown *s)
{
	const struct sl_pci_config *c = &s->d.config;
	struct json_object *o = json_object_new_object();

	add_number(o, "header_type", c->header_type);
	add_number(o, "command", c->command);
	add_number(o, "status", c->status);
	add_bool(o, "bus_master", c->command & 4);
	add_bool(o, "flr", c->flr);
	add_bool(o, "partial", c->partial);
	add_text(o, "flaw", c->flaw ? c->flaw : "");
	json_object_object_add(o, "msi", c->msi.vectors ? msi(&c->msi) : NULL);
	json_object_object_add(o, "msix", c->msix.vectors ? msix(s) : NULL);
	json_object_object_add(o, "capabilities", caps(c));
	return o;
}

static struct json_object *group(const struct shown *s)
{
	struct json_object *list = json_object_new_array(), *o;
	struct sl_pci_info member;
	char name[SL_PCI_ADDR_SIZE];

	for (int i = 0; i < s->n_members; i++) {
		o = json_object_new_object();
		sl_pci_addr_format(&s->members[i], name);
		add_text(o, "address", name);
		add_text(o, "driver", sl_shown_driver(&s->members[i], &member));
		json_object_array_add(list, o);
	}
	return list;
}

void sl_shown_json(const struct shown *s)
{
	struct json_object *o = sl_device_json(&s->d);

	add_text(o, "driver_override", s->d.info.driver_override);
	json_object_object_add(o, "restores_to",
			       s->remembered ? json_object_new_string(s->memory.driver) : NULL);
	json_object_object_add(o, "group", group(s));
	json_object_object_add(o, "bars", bars(&s->d.info));
	json_object_object_add(o, "config", s->d.has_config ? config(s) : NULL);
	add_text(o, "power_state", s->d.info.power_state);
	add_text(o, "reset_methods", s->d.info.reset_methods);
	add_text(o, "in_use", s->in_use);
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}
