/* What a program says to Callgrind while that counts its instructions; nothing without it. */
#include <valgrind/callgrind.h>

void counter_begin(void) { CALLGRIND_TOGGLE_COLLECT; }

void counter_end(const char *name) {
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS_AT(name); /* zeroes what was counted */
}
