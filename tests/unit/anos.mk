# SPDX-License-Identifier: MIT
# SYSTEM's services for Anos programs, message by message.
ANOS_TESTS = %D%/anos_boot %D%/anos_services %D%/anos_spawn %D%/anos_surface
ANOS_TEST_LIBS = libanossystem.a $(CO_TEST_LIBS)

if HAVE_CHECK
check_PROGRAMS += $(ANOS_TESTS)
TESTS += $(ANOS_TESTS)
endif

%C%_anos_boot_SOURCES = %D%/anos_boot.c %D%/anos_page.h
%C%_anos_boot_CFLAGS = $(CO_TEST_CFLAGS)
%C%_anos_boot_LDADD = $(ANOS_TEST_LIBS)

%C%_anos_services_SOURCES = %D%/anos_services.c %D%/anos_page.h
%C%_anos_services_CFLAGS = $(CO_TEST_CFLAGS)
%C%_anos_services_LDADD = $(ANOS_TEST_LIBS)

%C%_anos_spawn_SOURCES = %D%/anos_spawn.c %D%/anos_page.h
%C%_anos_spawn_CFLAGS = $(CO_TEST_CFLAGS)
%C%_anos_spawn_LDADD = $(ANOS_TEST_LIBS)

%C%_anos_surface_SOURCES = %D%/anos_surface.c
%C%_anos_surface_CFLAGS = $(CO_TEST_CFLAGS)
%C%_anos_surface_LDADD = libanossystem.a $(PNG_LIBS) $(CO_TEST_LIBS)
