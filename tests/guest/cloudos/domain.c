/* SPDX-License-Identifier: MIT */
/* domain, raw and through libcloudos; calls itself to see it after exec. */
#include "guest.h"

static int child_compares(void *domain)
{
	return RAW(domain) == *(long *) domain ? 0 : 1;
}

static char *own_path;

static int child_executes(void *domain)
{
	char text[32];

	(void) snprintf(text, sizeof(text), "%ld", *(long *) domain); /* it fits */
	execl(own_path, own_path, text, (char *) NULL);
	return 99;
}

int main(int argc, char **argv)
{
	long domain = RAW(domain);

	if (argc > 1)
		return domain == atol(argv[1]) ? 0 : 1;
	own_path = argv[0];
	check(domain > 0, "there is a domain");
	check_number(RAW(domain), domain, "it stays the same");
	check_number(cloudos_domain(), domain, "libcloudos says the same");
	check_number(in_child(child_compares, &domain), 0, "a child is in it");
	check_number(in_child(child_executes, &domain), 0, "another program is in it");
	return done();
}
