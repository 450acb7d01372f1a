/* Gives events, or fails in the way that open_params name. */
#include "plugin.h"
#include <unistd.h>
PLUGIN("test_source")

struct open { int given; char how[32]; char bytes[4][256]; struct event *events[4]; };

void *plugin_init(const struct init_input *in, int *rc) {
	in->log(in->owner, NULL, "hello", 6);
	*rc = OK;
	return malloc(1);
}
void plugin_destroy(void *s) { free(s); }
uint32_t plugin_get_id(void) { return 999; }
const char *plugin_get_event_source(void) { return "test_events"; }
const char *plugin_list_open_params(void *s, int *rc) {
	(void)s;
	*rc = OK;
	return "[{\"value\":\"three\",\"desc\":\"three events\"}]";
}
void *plugin_open(void *s, const char *params, int *rc) {
	(void)s;
	if(!strcmp(params, "refuse")) {
		strcpy(error_text, "no such thing");
		*rc = FAILED;
		return NULL;
	}
	struct open *o = calloc(1, sizeof *o);
	strncpy(o->how, params, sizeof o->how - 1);
	*rc = OK;
	return o;
}
void plugin_close(void *s, void *h) { (void)s; free(h); }
int plugin_next_batch(void *s, void *h, uint32_t *n, struct event ***events) {
	(void)s;
	struct open *o = h;
	*n = 0;
	*events = o->events;
	if(!strcmp(o->how, "wait")) return TIMED_OUT;
	if(!strcmp(o->how, "hang")) for(;;) sleep(1);
	if(!strcmp(o->how, "crash") && o->given == 1) *(volatile int *)8 = 1;
	if(!strcmp(o->how, "fail")) {
		strcpy(error_text, "the wire is cut");
		return FAILED;
	}
	if(o->given == 3) return ENDED;
	if(!strcmp(o->how, "broken")) {
		o->events[0] = make_event(o->bytes[0], 322, 7, NULL, "x");
		*n = 1;
		return OK;
	}
	/* One event, and then no more for a while. */
	if(!strcmp(o->how, "slow") && o->given == 1) return TIMED_OUT;
	char data[64];
	snprintf(data, sizeof data, "{\"n\":%d}", ++o->given);
	o->events[0] = make_event(o->bytes[0], 322, 0, NULL, data);
	*n = 1;
	return OK;
}
const char *plugin_get_progress(void *s, void *h, uint32_t *percent) {
	struct open *o = h;
	(void)s;
	*percent = o->given * 10000 / 3;
	return NULL;
}
const char *plugin_event_to_string(void *s, const struct event_input *in) {
	static char text[64];
	(void)s;
	snprintf(text, sizeof text, "event %lu of %s", (unsigned long)in->number, in->source);
	return text;
}
