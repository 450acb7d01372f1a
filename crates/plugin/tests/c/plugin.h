/* What the test plugins need of Falco's plugin API: declarations of our own, after its documentation. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef API
#define API "3.12.0"
#endif

enum { OK = 0, FAILED = 1, TIMED_OUT = -1, ENDED = 2 };
enum { INT64 = 4, UINT8 = 5, UINT16 = 6, UINT32 = 7, UINT64 = 8, TEXT = 9, TABLE = 10 };

struct __attribute__((packed)) event {
	uint64_t ts, tid;
	uint32_t len;
	uint16_t type;
	uint32_t nparams;
};
struct event_input { const struct event *event; uint64_t number; const char *source; };

union data { int64_t s64; uint64_t u64; uint32_t u32; uint16_t u16; uint8_t u8; const char *str; void *table; };

struct fields {
	const void *(*list)(void *t, uint32_t *n);
	void *(*get)(void *t, const char *name, uint32_t type);
	void *(*add)(void *t, const char *name, uint32_t type);
};
struct old_reader {
	const char *(*name)(void *t);
	uint64_t (*size)(void *t);
	void *(*entry)(void *t, const union data *key);
	int (*read)(void *t, void *entry, void *field, union data *out);
};
struct reader {
	const char *(*name)(void *t);
	uint64_t (*size)(void *t);
	void *(*entry)(void *t, const union data *key);
	int (*read)(void *t, void *entry, void *field, union data *out);
	void (*release)(void *t, void *entry);
	uint32_t (*iterate)(void *t, uint32_t (*visit)(void *s, void *entry), void *s);
};
struct writer {
	int (*clear)(void *t);
	int (*erase)(void *t, const union data *key);
	void *(*create)(void *t);
	void (*destroy)(void *t, void *entry);
	void *(*add)(void *t, const union data *key, void *entry);
	int (*write)(void *t, void *entry, void *field, const union data *in);
};
struct table_input {
	const char *name;
	uint32_t key_type;
	void *table;
	struct old_reader old_reader;
	struct writer old_writer;
	struct fields old_fields;
	struct reader *reader;
	struct writer *writer;
	struct fields *fields;
};
struct tables {
	const void *(*list)(void *owner, uint32_t *n);
	void *(*get)(void *owner, const char *name, uint32_t key_type);
	int (*add)(void *owner, const struct table_input *in);
	struct fields old;
	struct fields *fields;
	struct reader *reader;
	struct writer *writer;
};
struct init_input {
	const char *config;
	void *owner;
	const char *(*last_error)(void *owner);
	const struct tables *tables;
	void (*log)(void *owner, const char *component, const char *text, int severity);
};
struct field {
	void *values;
	uint64_t count;
	uint32_t id;
	const char *name, *key;
	uint64_t index;
	uint32_t has_argument, type, list;
};
struct buffer { uint32_t len; const void *ptr; };
struct extract_input {
	void *owner;
	const char *(*last_error)(void *owner);
	uint32_t n;
	struct field *fields;
	void *old[4];
	struct reader *reader;
	void *offsets;
};
struct parse_input {
	void *owner;
	const char *(*last_error)(void *owner);
	void *old[10];
	struct reader *reader;
	struct writer *writer;
};
struct routines {
	void *(*subscribe)(void *owner, uint32_t (*f)(void *state, void *arg), void *arg);
	int (*unsubscribe)(void *owner, void *routine);
};
struct capture_input {
	void *owner;
	struct routines *routines;
	struct reader *reader;
	struct writer *writer;
	const char *(*last_error)(void *owner);
};
struct metric { const char *name; uint32_t kind; uint64_t value; uint32_t value_type; };

static char error_text[256];

#define PLUGIN(NAME)                                                       \
	const char *plugin_get_required_api_version(void) { return API; }      \
	const char *plugin_get_name(void) { return NAME; }                     \
	const char *plugin_get_description(void) { return "a test: " NAME; }   \
	const char *plugin_get_contact(void) { return "nobody"; }              \
	const char *plugin_get_version(void) { return "1.2.3"; }               \
	const char *plugin_get_last_error(void *s) { (void)s; return error_text; }

/* Writes an event with a number, texts and bytes as its parameters; each has a length of 32 bits before all data. */
static inline struct event *make_event(void *out, uint16_t type, uint32_t id, const char *name, const char *data) {
	struct event *e = out;
	uint32_t lens[3], n = 0;
	lens[n++] = 4;
	if(name) lens[n++] = strlen(name) + 1;
	lens[n++] = strlen(data);
	char *p = (char *)out + sizeof *e;
	memcpy(p, lens, 4 * n);
	p += 4 * n;
	memcpy(p, &id, 4);
	p += 4;
	if(name) { strcpy(p, name); p += strlen(name) + 1; }
	memcpy(p, data, strlen(data));
	p += strlen(data);
	*e = (struct event){.ts = UINT64_MAX, .tid = UINT64_MAX, .len = p - (char *)out, .type = type, .nparams = n};
	return e;
}
