/* SPDX-License-Identifier: MIT */
/*
 * The page to look at: files that were compressed when the daemon was built.  HOST.
 *
 * Nothing on it comes from elsewhere, and its policy says so: no inline script or style, no
 * other origin, no frame around it, and no way to make markup of text (trusted types).
 */
#include <zlib.h>

#include "lib/http_message.h"
#include "personality/blackroad/blackroad.h"
#include "personality/blackroad/page.h"

static const char policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
	"img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
	"form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

enum { EITHER = 15 + 32 }; /* window bits: zlib finds the gzip head itself */

/* For the few who do not read gzip. */
static void inflate_file(const struct page_file *file, struct co_buf *out)
{
	z_stream z = { 0 };

	if (inflateInit2(&z, EITHER) != Z_OK) {
		out->failed = true;
		return;
	}
	z.next_in = (Bytef *) file->gzip;
	z.avail_in = (uInt) file->gzip_size;
	z.next_out = (Bytef *) co_buf_room(out, file->size);
	z.avail_out = (uInt) file->size;
	if (z.next_out && inflate(&z, Z_FINISH) == Z_STREAM_END)
		co_buf_wrote(out, file->size);
	else
		out->failed = true;
	(void) inflateEnd(&z);
}

static void give(struct http_call *call, const struct page_file *file)
{
	struct co_buf body = { 0 };
	struct co_span has, reads;

	http_set_header(call, "Content-Security-Policy", "%s", policy);
	http_set_header(call, "X-Content-Type-Options", "nosniff");
	http_set_header(call, "Referrer-Policy", "same-origin");
	http_set_header(call, "Cross-Origin-Opener-Policy", "same-origin");
	http_set_header(call, "Cross-Origin-Resource-Policy", "same-origin");
	http_set_header(call, "Cache-Control", "no-cache");
	http_set_header(call, "ETag", "%s", file->etag);
	http_set_header(call, "Vary", "Accept-Encoding");
	if (http_header(call, "if-none-match", &has) &&
	    memmem(has.data, has.size, file->etag, strlen(file->etag))) {
		http_answer_as(call, 304, file->type, &body);
		return;
	}
	if (http_header(call, "accept-encoding", &reads) &&
	    co_http_list_has(reads, "gzip") &&
	    !memmem(reads.data, reads.size, "gzip;q=0", strlen("gzip;q=0"))) {
		http_set_header(call, "Content-Encoding", "gzip");
		co_buf_add(&body, file->gzip, file->gzip_size);
	} else {
		inflate_file(file, &body);
	}
	http_answer_as(call, 200, file->type, &body);
}

void blackroad_on_page(struct http_call *call, const struct blackroad_page_args *with)
{
	(void) with; /* has no members */
	give(call, &page_files[0]);
}

void blackroad_on_page_file(struct http_call *call,
			    const struct blackroad_page_file_args *with)
{
	for (const struct page_file *file = page_files; file->name; file++)
		if (co_span_is(with->file, file->name)) {
			give(call, file);
			return;
		}
	http_fail(call, 404, "NOT_FOUND", "the page has no such file");
}
