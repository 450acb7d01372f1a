/* Looks into the tables inside of threads' entries: fds, arguments, environment, cgroups; keeps a field with each fd. */
#include "plugin.h"
#include <stdarg.h>
PLUGIN("test_inner")

static void *threads, *fds, *args, *env, *cgroups;
static void *name, *kind, *port, *mark, *value, *first, *second;
static uint64_t listed, begun;
static char text[1 << 16];
static const char *texts[1];

/* Adds to what is told, as long as there is room. */
static void say(const char *format, ...) {
	size_t length = strlen(text);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text + length, sizeof text - length, format, arguments);
	va_end(arguments);
}

static void *field(const struct init_input *in, void *entry, void *inner, const char *field, uint32_t type, bool add) {
	union data data;
	if(in->tables->reader->read(threads, entry, inner, &data) != OK) return NULL;
	return add ? in->tables->fields->add(data.table, field, type) : in->tables->fields->get(data.table, field, type);
}

void *plugin_init(const struct init_input *in, int *rc) {
	struct fields *f = in->tables->fields;
	*rc = FAILED;
	threads = in->tables->get(in->owner, "threads", INT64);
	fds = f->get(threads, "file_descriptors", TABLE);
	args = f->get(threads, "args", TABLE);
	env = f->get(threads, "env", TABLE);
	cgroups = f->get(threads, "cgroups", TABLE);
	/* A new entry, only to learn the fields of the tables in it. */
	void *entry = in->tables->writer->create(threads);
	name = field(in, entry, fds, "name", TEXT, false);
	kind = field(in, entry, fds, "type", UINT8, false);
	port = field(in, entry, fds, "socket_ipv4_dst_port", UINT16, false);
	mark = field(in, entry, fds, "mark", UINT32, true);
	value = field(in, entry, args, "value", TEXT, false);
	first = field(in, entry, cgroups, "first", TEXT, false);
	second = field(in, entry, cgroups, "second", TEXT, false);
	bool refused = !field(in, entry, args, "more", TEXT, true) && strstr(in->last_error(in->owner), "none can be added");
	/* In an entry that is in no table there is nothing. */
	union data data, key = {.u64 = 0};
	in->tables->reader->read(threads, entry, env, &data);
	bool empty = in->tables->reader->size(data.table) == 0 && !in->tables->reader->entry(data.table, &key);
	in->tables->writer->destroy(threads, entry);
	/* Threads come by events alone. */
	key.s64 = 7;
	bool closed = !in->tables->writer->add(threads, &key, in->tables->writer->create(threads)) && strstr(in->last_error(in->owner), "by events alone");
	uint32_t n = 0;
	in->tables->fields->list(threads, &n);
	listed = n;
	if(fds && args && env && cgroups && name && kind && port && mark && value && first && second && refused && empty && closed && n > 30) *rc = OK;
	snprintf(error_text, sizeof error_text, "tables: %d %d %d, %s", refused, empty, closed, in->last_error(in->owner));
	return malloc(1);
}
void plugin_destroy(void *s) { free(s); }

static uint32_t count(void *s, void *entry) { (void)entry; ++*(uint64_t *)s; return 1; }

int plugin_capture_open(void *s, const struct capture_input *in) {
	(void)s;
	/* What ran before is there when events begin. */
	return in->reader->iterate(threads, count, &begun) ? OK : FAILED;
}
int plugin_capture_close(void *s, const struct capture_input *in) { (void)s; (void)in; return OK; }

static void *inner(const struct reader *r, void *entry, void *field) {
	union data data;
	return r->read(threads, entry, field, &data) == OK ? data.table : NULL;
}

/* Adds the texts of a table's entries, in their order. */
static void list(const struct reader *r, void *table, void *field) {
	union data key, data;
	for(key.u64 = 0; key.u64 < r->size(table); key.u64++) {
		void *entry = r->entry(table, &key);
		if(!entry || r->read(table, entry, field, &data) != OK) return;
		say("%s,", data.str);
		r->release(table, entry);
	}
}

const char *plugin_get_parse_event_sources(void) { return "[\"syscall\"]"; }
int plugin_parse_event(void *s, const struct event_input *e, const struct parse_input *in) {
	(void)s;
	const struct reader *r = in->reader;
	union data key = {.s64 = (int64_t)e->event->tid}, data;
	void *thread = r->entry(threads, &key);
	text[0] = 0;
	if(!thread) return OK;
	void *table = inner(r, thread, fds);
	key.s64 = 3;
	void *fd = r->entry(table, &key);
	text[0] = 0;
	if(fd) {
		r->read(table, fd, name, &data);
		say("%s ", data.str);
		r->read(table, fd, kind, &data);
		say("kind %u ", data.u8);
		r->read(table, fd, port, &data);
		say("port %u ", data.u16);
		r->read(table, fd, mark, &data);
		say("mark %u ", data.u32);
		data.u32++;
		if(in->writer->write(table, fd, mark, &data) != OK) return FAILED;
		/* What events say can't be written. */
		data.str = "x";
		if(in->writer->write(table, fd, name, &data) == OK) return FAILED;
		r->release(table, fd);
	}
	say("of %lu; ", (unsigned long)r->size(table));
	list(r, inner(r, thread, args), value);
	list(r, inner(r, thread, env), value);
	list(r, inner(r, thread, cgroups), first);
	list(r, inner(r, thread, cgroups), second);
	r->release(threads, thread);
	say(" begun %lu", (unsigned long)begun);
	return OK;
}
const char *plugin_get_fields(void) { return "[{\"type\":\"string\",\"name\":\"inner.text\",\"desc\":\"What was seen.\"}]"; }
const char *plugin_get_extract_event_sources(void) { return "[\"syscall\"]"; }
int plugin_extract_fields(void *s, const struct event_input *e, const struct extract_input *in) {
	(void)s;
	(void)e;
	texts[0] = text;
	in->fields->values = texts;
	in->fields->count = 1;
	return OK;
}
