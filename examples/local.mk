# SPDX-License-Identifier: MIT
# Programs of other systems as people write them; guest code, so without sanitizers.  -static
# is libtool's: with our library in the program it needs no wrapper script to run from here.
noinst_PROGRAMS += example-service example-client example-messages
example_service_SOURCES = %D%/cloudos/service.c
example_service_CFLAGS = $(GUEST_CFLAGS)
example_service_LDFLAGS = -static
example_service_LDADD = libcloudos.la
example_client_SOURCES = %D%/cloudos/client.c
example_client_CFLAGS = $(GUEST_CFLAGS)
example_client_LDFLAGS = -static
example_client_LDADD = libcloudos.la
example_messages_SOURCES = %D%/cloudos/messages.c
example_messages_CFLAGS = $(GUEST_CFLAGS)
example_messages_LDFLAGS = -static
example_messages_LDADD = libcloudos.la
EXTRA_DIST += %D%/README.md %D%/cloudos/README.md %D%/cloudos/client.py
EXTRA_DIST += %D%/blackroad/README.md %D%/blackroad/api.py %D%/blackroad/core.js \
	%D%/blackroad/core-plain.js %D%/blackroad/curl.sh %D%/blackroad/operator.js \
	%D%/blackroad/users.js %D%/blackroad/kernel
EXTRA_DIST += %D%/blackroad/nightly.py
EXTRA_DIST += %D%/blackroad/cloudos_handlers.py %D%/blackroad/users.py \
	%D%/blackroad/cloudos-handlers.js
include examples/anos/local.mk
include examples/interop/local.mk
# The client again, needing nothing of the box: for containers.
noinst_PROGRAMS += example-client-static
example_client_static_SOURCES = %D%/cloudos/client.c
example_client_static_CFLAGS = $(GUEST_CFLAGS)
example_client_static_LDFLAGS = -all-static
example_client_static_LDADD = libcloudos.la
EXTRA_DIST += %D%/containers/README.md %D%/containers/cloudos.yaml
