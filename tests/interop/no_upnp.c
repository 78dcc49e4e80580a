/*
 * Stands in for libgupnp-igd, which libnice loads: there is no UPnP in the tests.
 *
 * The real one brings libsoup 3 into a process, and simple-whip-client is linked with libsoup 2.4.
 * Each of the two ends the process when it finds the other, so that the packaged client does not
 * run at all on Debian 13.
 */
#include <stddef.h>

unsigned long gupnp_simple_igd_get_type(void);
void *gupnp_simple_igd_thread_new(void);
void gupnp_simple_igd_add_port(void);
void gupnp_simple_igd_remove_port_local(void);

/* G_TYPE_OBJECT: a fundamental type shifted by G_TYPE_FUNDAMENTAL_SHIFT. */
unsigned long gupnp_simple_igd_get_type(void) { return 20UL << 2; }

void *gupnp_simple_igd_thread_new(void) { return NULL; }

void gupnp_simple_igd_add_port(void) {}

void gupnp_simple_igd_remove_port_local(void) {}
