/* SPDX-License-Identifier: MIT */
/*
 * What both sides of a ring do with single words: atomics by name, the processor's clock
 * and number, and how long to stay awake.  SHARED by guest and host; ring/ only.
 */
#ifndef RING_WORDS_H
#define RING_WORDS_H

#include <ring/ring.h>

/* ---- words that others read and write at the same time ---- */

#define ring_look(word)        __atomic_load_n((word), __ATOMIC_RELAXED)
#define ring_load(word)        __atomic_load_n((word), __ATOMIC_ACQUIRE)
#define ring_note(word, value) __atomic_store_n((word), (value), __ATOMIC_RELAXED)
#define ring_tell(word, value) __atomic_store_n((word), (value), __ATOMIC_RELEASE)
#define ring_count(word, by)   (void) __atomic_fetch_add((word), (by), __ATOMIC_RELAXED)

/* Of a counter that nobody else writes at the time: no locked instruction. */
static inline void ring_count_alone(uint64_t *counter, uint64_t by)
{
	ring_note(counter, ring_look(counter) + by);
}

/* A store and a full fence: what is read after it is read after it. */
#define ring_publish(word, value)                                                      \
	(void) __atomic_exchange_n((word), (value), __ATOMIC_SEQ_CST)

static inline void ring_pause(void)
{
	__builtin_ia32_pause();
}

static inline uint64_t ring_stamp(void)
{
	return __builtin_ia32_rdtsc();
}

/* The processor this runs on, as the kernel left it in a segment's limit. */
static inline uint32_t ring_cpu(void)
{
	uint32_t limit = UINT32_MAX;

	__asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(0x7bU) : "cc");
	return limit & 0xfffU;
}

static inline void ring_copy(void *to, const void *from, size_t size)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

/* The line will be read, or written, soon: it may travel while something else is done. */
static inline void ring_soon_read(const void *line)
{
	__builtin_prefetch(line);
}

static inline void ring_soon_written(const void *line)
{
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *) line));
}

static inline uint32_t ring_bucket(uint64_t ticks)
{
	uint32_t log = ticks ? 63U - (uint32_t) __builtin_clzl(ticks) : 0;

	return log < CO_RING_BUCKETS ? log : CO_RING_BUCKETS - 1;
}

/* The bits of a message's slots. */
static inline uint64_t ring_mask(uint32_t slot, uint32_t slots)
{
	return ((1UL << slots) - 1) << slot;
}

/* How many bits are set; the compiler would call a function for it. */
static inline uint32_t ring_bits(uint64_t bits)
{
	bits -= bits >> 1 & 0x5555555555555555UL;
	bits = (bits & 0x3333333333333333UL) + (bits >> 2 & 0x3333333333333333UL);
	bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fUL;
	return (uint32_t) (bits * 0x0101010101010101UL >> 56);
}

/* ---- how long to stay awake ---- */

enum {
	RING_COST_FIRST = 100000, /* ticks; until a wake-up has been measured */
	RING_COST_LEAST = 10000,
	RING_COST_MOST = 400000,
	RING_YIELDS = 12,
	RING_MISSES =
		6 /* this many in a row and staying awake is but tried now and then */
};

/* As long as the wake-up costs that is saved; less where it has not helped lately. */
static inline uint32_t ring_pace_spin(const struct ring_pace *pace)
{
	uint32_t cost = ring_look(&pace->cost);
	uint32_t missed = ring_look(&pace->spin_missed);

	if (!cost)
		cost = RING_COST_FIRST;
	return missed < RING_MISSES || missed % 32 == 0 ? cost : cost / 32;
}

static inline uint32_t ring_pace_yields(const struct ring_pace *pace)
{
	uint32_t missed = ring_look(&pace->yield_missed);

	return missed < RING_MISSES || missed % 32 == 0 ? RING_YIELDS : 1;
}

static inline void ring_pace_learn(uint32_t *missed, bool helped)
{
	uint32_t before = ring_look(missed);

	if (helped && before)
		ring_note(missed, 0);
	else if (!helped)
		ring_note(missed, before + 1);
}

/* A sleeper was woken by something that happened that many ticks ago. */
static inline void ring_pace_woken(struct ring_pace *pace, uint64_t ticks)
{
	uint32_t cost = ring_look(&pace->cost);
	uint32_t seen = ticks < RING_COST_LEAST  ? RING_COST_LEAST
			: ticks > RING_COST_MOST ? RING_COST_MOST
						 : (uint32_t) ticks;

	ring_note(&pace->cost, cost ? cost - cost / 8 + seen / 8 : seen);
}

/* ---- capture.c ---- */

/* What a record says; data may be NULL. */
struct ring_event {
	uint8_t event, slot;
	uint16_t flags;
	uint32_t seq, size, tid;
	uint64_t tag;
	const uint8_t *data;
};

void ring_record(struct co_ring_capture *capture, uint64_t connection,
		 const struct ring_event *event);

/* Is anybody listening? */
static inline bool ring_is_captured(const struct co_ring_control *control,
				    const struct co_ring_capture *capture)
{
	return control && capture && (ring_look(&control->flags) & CO_RING_CAPTURE);
}

#endif
