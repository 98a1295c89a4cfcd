/* SPDX-License-Identifier: MIT */
/* Rows of `cloudosctl doctor`: what was found, and what to do about it.  HOST. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

enum state { STATE_OK, STATE_LIMITED, STATE_MISSING };

struct doctor;

struct finding {
	enum state state;
	char detail[400]; /* what was found */
	char advice[400]; /* what to do, "" when nothing */
};

__attribute__((format(printf, 2, 3))) void doctor_detail(struct finding *f,
							 const char *format, ...);
__attribute__((format(printf, 3, 4))) void
doctor_advise(struct finding *f, enum state state, const char *format, ...);

/* ---- doctor_container.c: what containers can have ---- */

void check_ctr_limits(struct doctor *d, struct finding *f);
void check_ctr_pause(struct doctor *d, struct finding *f);
void check_ctr_ids(struct doctor *d, struct finding *f);
void check_ctr_bridge(struct doctor *d, struct finding *f);
void check_ctr_private(struct doctor *d, struct finding *f);
void check_ctr_forward(struct doctor *d, struct finding *f);

#endif
