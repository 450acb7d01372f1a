/* Sends events of its own from a routine that runs while events are looked at, and counts its turns. */
#include "plugin.h"
PLUGIN("test_async")

typedef int (*handler)(void *owner, const struct event *e, char *error);
struct state { handler send; void *owner; uint64_t turns, begun, ended; void *routine; char refused[1024], unnamed[1024], mode[32]; };

void *plugin_init(const struct init_input *in, int *rc) {
	struct state *s = calloc(1, sizeof *s);
	*rc = OK;
	snprintf(s->mode, sizeof s->mode, "%s", in->config);
	if(strstr(in->config, "refuse")) {
		strcpy(error_text, "told to refuse");
		*rc = FAILED;
	}
	return s;
}
struct config_input { const char *config; };
int plugin_set_config(void *s, const struct config_input *in) {
	struct state *st = s;
	if(strstr(in->config, "refuse")) {
		strcpy(error_text, "still told to refuse");
		return FAILED;
	}
	snprintf(st->mode, sizeof st->mode, "%s", in->config);
	return OK;
}
void plugin_destroy(void *s) { free(s); }
const char *plugin_get_init_schema(uint32_t *type) {
	*type = 1;
	return "{\"type\":\"object\",\"properties\":{\"mode\":{\"type\":\"string\"}}}";
}
const char *plugin_get_async_events(void) { return "[\"tick\"]"; }
const char *plugin_get_async_event_sources(void) { return "[]"; }
int plugin_set_async_event_handler(void *s, void *owner, handler h) {
	struct state *st = s;
	st->owner = owner;
	st->send = h;
	return OK;
}
static uint32_t turn(void *s, void *arg) {
	struct state *st = s;
	char bytes[256];
	if(arg != st || !st->send) return 0;
	if(++st->turns > 3 && strstr(st->mode, "crash")) *(volatile int *)8 = 1;
	if(st->turns > 3) return 0;
	st->send(st->owner, make_event(bytes, 402, 0, "tick", "tock"), NULL);
	/* An event of another kind is refused, and one of a name that wasn't told; why is said. */
	st->send(st->owner, make_event(bytes, 322, 0, NULL, "x"), st->refused);
	st->send(st->owner, make_event(bytes, 402, 0, "boom", "x"), st->unnamed);
	return 1;
}
int plugin_dump_state(void *s, void *owner, handler tell) {
	struct state *st = s;
	char bytes[256];
	/* Only what was named can be told. */
	return tell(owner, make_event(bytes, 402, 0, "boom", ""), NULL) == FAILED ? tell(owner, make_event(bytes, 402, 0, "tick", st->mode), NULL) : FAILED;
}
int plugin_capture_open(void *s, const struct capture_input *in) {
	struct state *st = s;
	st->begun++;
	st->routine = in->routines->subscribe(in->owner, turn, s);
	return st->routine ? OK : FAILED;
}
int plugin_capture_close(void *s, const struct capture_input *in) {
	struct state *st = s;
	/* No handler is left when it ends. */
	st->ended += st->send == NULL;
	return in->routines->unsubscribe(in->owner, st->routine);
}
struct metric *plugin_get_metrics(void *s, uint32_t *n) {
	static struct metric metrics[5];
	struct state *st = s;
	metrics[0] = (struct metric){"turns", 0, st->turns, 2};
	metrics[1] = (struct metric){"refused", 1, st->refused[0] != 0, 0};
	metrics[2] = (struct metric){"unnamed", 1, strstr(st->unnamed, "hasn't said that it sends events 'boom'") != NULL, 0};
	metrics[3] = (struct metric){"begun", 1, st->begun, 2};
	metrics[4] = (struct metric){"ended", 1, st->ended, 2};
	*n = 5;
	return metrics;
}
