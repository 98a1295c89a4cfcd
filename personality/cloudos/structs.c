/* SPDX-License-Identifier: MIT */
/* structs.def as data, and the proof that it says what the headers say.  HOST. */
#include "lib/cleanup.h"
#include "personality/cloudos/cloudos.h"

/* clang-format off */

/* ---- the headers' structs, built again from the rows: same members, same places ---- */

#define STRUCT(id, type)   typedef type id##_real; struct id##_rows {
#define END(id)            };
#define SIZE(id, m)        uint32_t m;
#define TEXT(id, m)        char m[sizeof(((id##_real *) 0)->m)];
#define U8(id, m)          uint8_t m;
#define U16(id, m)         uint16_t m;
#define I32(id, m)         int32_t m;
#define U32(id, m)         uint32_t m;
#define I64(id, m)         int64_t m;
#define U64(id, m)         uint64_t m;
#define POINTERS(id, m)    void *m[co_countof(((id##_real *) 0)->m)];
#define LIST(id, m, element, count) \
	struct element##_rows m[co_countof(((id##_real *) 0)->m)];
#include "personality/cloudos/structs.def"
#undef STRUCT
#undef END
#undef SIZE
#undef TEXT
#undef U8
#undef U16
#undef I32
#undef U32
#undef I64
#undef U64
#undef LIST
#undef POINTERS

#define AT(id, m) \
	_Static_assert(offsetof(struct id##_rows, m) == offsetof(id##_real, m), #id "." #m);
#define STRUCT(id, type)
#define END(id)     _Static_assert(sizeof(struct id##_rows) == sizeof(id##_real), #id);
#define SIZE(id, m) AT(id, m)
#define TEXT(id, m) AT(id, m)
#define U8(id, m)   AT(id, m)
#define U16(id, m)  AT(id, m)
#define I32(id, m)  AT(id, m)
#define U32(id, m)  AT(id, m)
#define I64(id, m)  AT(id, m)
#define U64(id, m)  AT(id, m)
#define POINTERS(id, m) AT(id, m)
#define LIST(id, m, element, count) AT(id, m)
#include "personality/cloudos/structs.def"
#undef STRUCT
#undef END
#undef SIZE
#undef TEXT
#undef U8
#undef U16
#undef I32
#undef U32
#undef I64
#undef U64
#undef LIST
#undef POINTERS

/* ---- the table ---- */

#define FIELD(kind_, id, m, ...) \
	{ .kind = CO_MEMBER_##kind_, .name = #m, .offset = offsetof(id##_real, m), \
	  .size = sizeof(((id##_real *) 0)->m), __VA_ARGS__ },
#define STRUCT(id, type) static const struct co_member id##_members[] = {
#define END(id)          };
#define SIZE(id, m)      FIELD(SIZE, id, m)
#define TEXT(id, m)      FIELD(TEXT, id, m)
#define U8(id, m)        FIELD(UNSIGNED, id, m)
#define U16(id, m)       FIELD(UNSIGNED, id, m)
#define I32(id, m)       FIELD(SIGNED, id, m)
#define U32(id, m)       FIELD(UNSIGNED, id, m)
#define I64(id, m)       FIELD(SIGNED, id, m)
#define U64(id, m)       FIELD(UNSIGNED, id, m)
#define POINTERS(id, m)
#define LIST(id, m, of, count_) \
	FIELD(LIST, id, m, .element = #of, .count = offsetof(id##_real, count_))
#include "personality/cloudos/structs.def"
#undef STRUCT
#undef END
#undef SIZE
#undef TEXT
#undef U8
#undef U16
#undef I32
#undef U32
#undef I64
#undef U64
#undef LIST
#undef POINTERS

#define STRUCT(id_, type_) \
	{ .id = #id_, .type = #type_, .size = sizeof(id_##_real), .members = id_##_members, \
	  .nmembers = co_countof(id_##_members) },
#define END(id)
#define SIZE(id, m)
#define TEXT(id, m)
#define U8(id, m)
#define U16(id, m)
#define I32(id, m)
#define U32(id, m)
#define I64(id, m)
#define U64(id, m)
#define POINTERS(id, m)
#define LIST(id, m, element, count)
const struct co_struct cloudos_structs[] = {
#include "personality/cloudos/structs.def"
	{ 0 }
};
/* clang-format on */
