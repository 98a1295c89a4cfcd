/* SPDX-License-Identifier: MIT */
/*
 * The decoder on libZydis, loaded at run time: a daemon without it works, only patches
 * fewer sites.  HOST.
 */
#include "cloudosd/sites/decoder.h"

#include <Zydis/Zydis.h>
#include <co/sites.h>
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define LIBRARY "libZydis.so.4.0"

_Static_assert(sizeof(ZydisDecoder) <= sizeof(struct decoder),
	       "struct decoder is too small");

static struct {
	pthread_once_t once;
	bool loaded;
	struct co_err failure;
	__typeof__(ZydisGetVersion) *version;
	__typeof__(ZydisDecoderInit) *init;
	__typeof__(ZydisDecoderDecodeInstruction) *instruction;
	__typeof__(ZydisDecoderDecodeOperands) *operands;
} zydis = { .once = PTHREAD_ONCE_INIT };

static void *symbol(void *library, const char *name)
{
	void *found = dlsym(library, name);

	if (!found)
		(void) co_fail(&zydis.failure, CO_UNSUPPORTED, "%s has no %s", LIBRARY,
			       name);
	return found;
}

static void load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		(void) co_fail(&zydis.failure, CO_UNSUPPORTED,
			       "%s is missing: apt install libzydis4.0", LIBRARY);
		return;
	}
	zydis.version = symbol(library, "ZydisGetVersion");
	zydis.init = symbol(library, "ZydisDecoderInit");
	zydis.instruction = symbol(library, "ZydisDecoderDecodeInstruction");
	zydis.operands = symbol(library, "ZydisDecoderDecodeOperands");
	if (zydis.failure.code)
		return;
	if (ZYDIS_VERSION_MAJOR(zydis.version()) !=
		    ZYDIS_VERSION_MAJOR(ZYDIS_VERSION) ||
	    ZYDIS_VERSION_MINOR(zydis.version()) !=
		    ZYDIS_VERSION_MINOR(ZYDIS_VERSION)) {
		(void) co_fail(&zydis.failure, CO_UNSUPPORTED,
			       "%s is not the version that cloudos was built with",
			       LIBRARY);
		return;
	}
	zydis.loaded = true;
}

int decoder_available(struct co_err *err)
{
	(void) pthread_once(&zydis.once, load); /* fails for no argument of ours */
	if (zydis.loaded)
		return 0;
	return co_fail(err, CO_UNSUPPORTED, "%s", zydis.failure.message);
}

void decoder_init(struct decoder *d, unsigned bits)
{
	/* fails for modes that do not exist */
	(void) zydis.init((ZydisDecoder *) (void *) d,
			  bits == 64 ? ZYDIS_MACHINE_MODE_LONG_64
				     : ZYDIS_MACHINE_MODE_LEGACY_32,
			  bits == 64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
}

static const ZydisDecoder *inner(const struct decoder *d)
{
	return (const ZydisDecoder *) (const void *) d;
}

bool decoder_step(const struct decoder *d, const unsigned char *bytes, size_t n,
		  uint64_t at, struct decoder_step *out)
{
	ZydisDecodedInstruction insn;

	if (!ZYAN_SUCCESS(zydis.instruction(inner(d), NULL, bytes, n, &insn)))
		return false;
	*out = (struct decoder_step){ .length = insn.length };
	if (insn.raw.imm[0].is_relative) {
		out->jumps = true;
		out->target = at + insn.length + (uint64_t) insn.raw.imm[0].value.s;
	}
	return true;
}

/* ---- may it be executed elsewhere? ---- */

static bool goes_on(const ZydisDecodedInstruction *insn)
{
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_SEGOP:
	case ZYDIS_CATEGORY_CET: /* endbr64: where indirect jumps must arrive */
	case ZYDIS_CATEGORY_UINTR:
	case ZYDIS_CATEGORY_SGX:
	case ZYDIS_CATEGORY_VTX:
	case ZYDIS_CATEGORY_INVALID:
		return false;
	default:
		break;
	}
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
	case ZYDIS_MNEMONIC_XBEGIN:
	case ZYDIS_MNEMONIC_XABORT:
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
		return false;
	default:
		return !insn->raw.imm[0].is_relative &&
		       !(insn->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED);
	}
}

static bool is_ip(ZydisRegister r)
{
	return r == ZYDIS_REGISTER_RIP || r == ZYDIS_REGISTER_EIP ||
	       r == ZYDIS_REGISTER_IP;
}

static bool is_sp(ZydisRegister r)
{
	return r == ZYDIS_REGISTER_RSP || r == ZYDIS_REGISTER_ESP ||
	       r == ZYDIS_REGISTER_SP || r == ZYDIS_REGISTER_SPL;
}

static bool is_segment(ZydisRegister r)
{
	return r >= ZYDIS_REGISTER_ES && r <= ZYDIS_REGISTER_GS;
}

static bool about_memory(const ZydisDecodedInstruction *insn,
			 const ZydisDecodedOperand *o, struct decoder_about *out)
{
	if (o->mem.type != ZYDIS_MEMOP_TYPE_AGEN &&
	    insn->mnemonic != ZYDIS_MNEMONIC_NOP)
		out->flags |= CO_SITES_MEMORY;
	if (!is_ip(o->mem.base))
		return true;
	if (o->mem.base != ZYDIS_REGISTER_RIP || insn->raw.disp.size != 32)
		return false;
	out->flags |= CO_SITES_RIP;
	out->field = insn->raw.disp.offset;
	return true;
}

static bool about_operand(const ZydisDecodedInstruction *insn,
			  const ZydisDecodedOperand *o, struct decoder_about *out)
{
	bool written = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;

	switch (o->type) {
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return about_memory(insn, o, out);
	case ZYDIS_OPERAND_TYPE_REGISTER:
		if (is_ip(o->reg.value) || (is_segment(o->reg.value) && written))
			return false;
		if (is_sp(o->reg.value) && written)
			out->flags |= CO_SITES_STACK;
		return true;
	case ZYDIS_OPERAND_TYPE_POINTER:
		return false;
	default:
		return true;
	}
}

static bool is_ax(const ZydisDecodedOperand *o)
{
	return o->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       (o->reg.value == ZYDIS_REGISTER_EAX ||
		o->reg.value == ZYDIS_REGISTER_RAX);
}

static void about_number(const ZydisDecodedInstruction *insn,
			 const ZydisDecodedOperand *o, struct decoder_about *out)
{
	if (insn->operand_count_visible != 2 || !is_ax(&o[0]))
		return;
	if (insn->mnemonic == ZYDIS_MNEMONIC_MOV &&
	    o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		uint64_t value = o[1].imm.value.u;

		if (o[0].reg.value == ZYDIS_REGISTER_EAX)
			value = (uint32_t) value;
		if (value > UINT32_MAX)
			return;
		out->number = (uint32_t) value;
		out->flags |= CO_SITES_NUMBER;
	} else if ((insn->mnemonic == ZYDIS_MNEMONIC_XOR ||
		    insn->mnemonic == ZYDIS_MNEMONIC_SUB) &&
		   is_ax(&o[1])) {
		out->flags |= CO_SITES_NUMBER;
	}
}

bool decoder_about(const struct decoder *d, const unsigned char *bytes, size_t n,
		   struct decoder_about *out)
{
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecoderContext context;

	if (!ZYAN_SUCCESS(zydis.instruction(inner(d), &context, bytes, n, &insn)) ||
	    insn.length != n || !goes_on(&insn) ||
	    !ZYAN_SUCCESS(zydis.operands(inner(d), &context, &insn, operands,
					 insn.operand_count)))
		return false;
	*out = (struct decoder_about){ 0 };
	for (unsigned i = 0; i < insn.operand_count; i++)
		if (!about_operand(&insn, &operands[i], out))
			return false;
	about_number(&insn, operands, out);
	return true;
}
