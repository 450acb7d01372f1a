/* Fields of every type; one looks into the table of threads. */
#include "plugin.h"
PLUGIN("test_extract")

static void *threads, *comm;
static const char *texts[3];
static uint64_t number;
static uint32_t truth;
static struct buffer address;
static char text[128];

const char *plugin_get_fields(void) {
	return "[{\"type\":\"uint64\",\"name\":\"test.number\",\"desc\":\"The event's number.\"},"
	       "{\"type\":\"string\",\"name\":\"test.text\",\"arg\":{\"isKey\":true,\"isRequired\":true},\"desc\":\"Its argument.\"},"
	       "{\"type\":\"string\",\"name\":\"test.list\",\"isList\":true,\"arg\":{\"isIndex\":true},\"desc\":\"Some texts.\"},"
	       "{\"type\":\"ipaddr\",\"name\":\"test.ip\",\"desc\":\"An address.\"},"
	       "{\"type\":\"bool\",\"name\":\"test.truth\",\"desc\":\"A truth.\"},"
	       "{\"type\":\"string\",\"name\":\"test.comm\",\"desc\":\"The thread's name.\"},"
	       "{\"type\":\"string\",\"name\":\"test.none\",\"desc\":\"Never there.\"}]";
}
const char *plugin_get_extract_event_sources(void) { return "[\"syscall\",\"test_events\"]"; }
void *plugin_init(const struct init_input *in, int *rc) {
	threads = in->tables->get(in->owner, "threads", INT64);
	comm = threads ? in->tables->fields->get(threads, "comm", TEXT) : NULL;
	if(in->tables->get(in->owner, "no_such", INT64) || strstr(in->last_error(in->owner), "no_such") == NULL) comm = NULL;
	*rc = comm ? OK : FAILED;
	strcpy(error_text, "no table of threads");
	return malloc(1);
}
void plugin_destroy(void *s) { free(s); }

static int extract(const struct event_input *e, const struct extract_input *in, struct field *f) {
	switch(f->id) {
	case 0:
		number = e->number;
		f->values = &number;
		f->count = 1;
		break;
	case 1:
		texts[0] = f->key;
		f->values = texts;
		f->count = 1;
		break;
	case 2:
		texts[0] = f->has_argument ? (f->index == 1 ? "one" : "other") : "a";
		texts[1] = "b";
		f->values = texts;
		f->count = f->has_argument ? 1 : 2;
		break;
	case 3:
		address = (struct buffer){4, "\x0a\x00\x00\x07"};
		f->values = &address;
		f->count = 1;
		break;
	case 4:
		truth = 1;
		f->values = &truth;
		f->count = 1;
		break;
	case 5: {
		union data key = {.s64 = (int64_t)e->event->tid}, out;
		void *entry = in->reader->entry(threads, &key);
		if(!entry) return OK;
		if(in->reader->read(threads, entry, comm, &out) == OK) {
			snprintf(text, sizeof text, "%s of %lu", out.str, (unsigned long)in->reader->size(threads));
			texts[0] = text;
			f->values = texts;
			f->count = 1;
		}
		in->reader->release(threads, entry);
		break;
	}
	}
	return OK;
}
int plugin_extract_fields(void *s, const struct event_input *e, const struct extract_input *in) {
	(void)s;
	for(uint32_t i = 0; i < in->n; i++)
		if(extract(e, in, &in->fields[i]) != OK) return FAILED;
	return OK;
}
