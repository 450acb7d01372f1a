/* Counts the events of each thread in a field that it adds to the table of threads, and offers a table of its own. */
#include "plugin.h"
PLUGIN("test_parse")

static void *threads, *seen, *mine, *total;
static uint64_t count;
static const char *texts[1];
static uint64_t numbers[1];

static const char *my_name(void *t) { (void)t; return "counts"; }
static uint64_t my_size(void *t) { (void)t; return 1; }
static void *my_entry(void *t, const union data *key) { (void)t; return key->u64 == 0 ? &count : NULL; }
static int my_read(void *t, void *e, void *f, union data *out) { (void)t; (void)f; out->u64 = *(uint64_t *)e; return OK; }
static void my_release(void *t, void *e) { (void)t; (void)e; }
static uint32_t my_iterate(void *t, uint32_t (*visit)(void *, void *), void *s) { (void)t; return visit(s, &count); }
static void *my_field(void *t, const char *name, uint32_t type) { (void)t; return !strcmp(name, "total") && type == UINT64 ? &count : NULL; }
static struct reader my_reader = {my_name, my_size, my_entry, my_read, my_release, my_iterate};
static struct fields my_fields = {NULL, my_field, my_field};

void *plugin_init(const struct init_input *in, int *rc) {
	struct table_input mine_in = {.name = "counts", .key_type = UINT64, .table = &count, .reader = &my_reader, .fields = &my_fields};
	const struct tables *t = in->tables;
	threads = t->get(in->owner, "threads", INT64);
	seen = threads ? t->fields->add(threads, "test_seen", UINT64) : NULL;
	bool offered = t->add(in->owner, &mine_in) == OK && t->add(in->owner, &mine_in) == FAILED;
	mine = t->get(in->owner, "counts", UINT64);
	total = mine ? t->fields->get(mine, "total", UINT64) : NULL;
	*rc = seen && offered && total ? OK : FAILED;
	snprintf(error_text, sizeof error_text, "tables: %s", in->last_error(in->owner));
	return malloc(1);
}
void plugin_destroy(void *s) { free(s); }
uint16_t *plugin_get_parse_event_types(uint32_t *n, void *s) {
	static uint16_t types[] = {5}; /* the end of close */
	(void)s;
	*n = 1;
	return types;
}
const char *plugin_get_parse_event_sources(void) { return "[\"syscall\"]"; }
int plugin_parse_event(void *s, const struct event_input *e, const struct parse_input *in) {
	(void)s;
	union data key = {.s64 = (int64_t)e->event->tid}, value;
	count++;
	void *entry = in->reader->entry(threads, &key);
	if(!entry) {
		snprintf(error_text, sizeof error_text, "no thread %ld", (long)key.s64);
		return FAILED;
	}
	int rc = in->reader->read(threads, entry, seen, &value);
	value.u64++;
	if(rc == OK) rc = in->writer->write(threads, entry, seen, &value);
	in->reader->release(threads, entry);
	return rc;
}
const char *plugin_get_fields(void) {
	return "[{\"type\":\"uint64\",\"name\":\"test.seen\",\"desc\":\"Events of the thread.\"},"
	       "{\"type\":\"uint64\",\"name\":\"test.total\",\"desc\":\"Events of all.\"}]";
}
const char *plugin_get_extract_event_sources(void) { return "[\"syscall\"]"; }
int plugin_extract_fields(void *s, const struct event_input *e, const struct extract_input *in) {
	(void)s;
	(void)texts;
	struct field *f = in->fields;
	void *table = f->id == 0 ? threads : mine, *field = f->id == 0 ? seen : total;
	union data key = {.s64 = f->id == 0 ? (int64_t)e->event->tid : 0}, value;
	void *entry = in->reader->entry(table, &key);
	if(!entry) return OK;
	if(in->reader->read(table, entry, field, &value) == OK) {
		numbers[0] = value.u64;
		f->values = numbers;
		f->count = 1;
	}
	in->reader->release(table, entry);
	return OK;
}
