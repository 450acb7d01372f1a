/* Built for version 3.0 of the API, which has no extended functions: offers a table and reads it again. */
#undef API
#define API "3.0.0"
#include "plugin.h"
PLUGIN("test_old")

static uint64_t count = 7, numbers[1];
static void *mine, *total;

static const char *my_name(void *t) { (void)t; return "old_counts"; }
static uint64_t my_size(void *t) { (void)t; return 1; }
static void *my_entry(void *t, const union data *key) { (void)t; return key->u64 == 0 ? &count : NULL; }
static int my_read(void *t, void *e, void *f, union data *out) { (void)t; (void)f; out->u64 = *(uint64_t *)e; return OK; }
static void *my_field(void *t, const char *name, uint32_t type) { (void)t; return !strcmp(name, "total") && type == UINT64 ? &count : NULL; }

void *plugin_init(const struct init_input *in, int *rc) {
	/* All that version 3.0 has of the structure; what lies behind it here is no pointer. */
	struct { char before[offsetof(struct table_input, reader)]; uint64_t noise[3]; } room;
	struct table_input *input = (struct table_input *)&room;
	memset(room.before, 0, sizeof room.before);
	memset(room.noise, 0x5a, sizeof room.noise);
	input->name = "old_counts";
	input->key_type = UINT64;
	input->table = &count;
	input->old_reader = (struct old_reader){my_name, my_size, my_entry, my_read};
	input->old_fields = (struct fields){NULL, my_field, my_field};
	*rc = in->tables->add(in->owner, input);
	mine = in->tables->get(in->owner, "old_counts", UINT64);
	total = mine ? in->tables->old.get(mine, "total", UINT64) : NULL;
	if(!total) *rc = FAILED;
	return malloc(1);
}
void plugin_destroy(void *s) { free(s); }
const char *plugin_get_fields(void) { return "[{\"type\":\"uint64\",\"name\":\"old.total\",\"desc\":\"The count.\"}]"; }
const char *plugin_get_extract_event_sources(void) { return "[\"syscall\"]"; }
int plugin_extract_fields(void *s, const struct event_input *e, const struct extract_input *in) {
	(void)s;
	(void)e;
	const struct old_reader *r = (const struct old_reader *)in->old;
	union data key = {.u64 = 0}, value;
	void *entry = r->entry(mine, &key);
	if(!entry || r->read(mine, entry, total, &value) != OK) return FAILED;
	numbers[0] = value.u64;
	in->fields->values = numbers;
	in->fields->count = 1;
	return OK;
}
