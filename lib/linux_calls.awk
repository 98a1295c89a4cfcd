# SPDX-License-Identifier: MIT
# Turns asm/unistd_64.h and asm/unistd_32.h, in this order, into two tables of names.

BEGIN {
	print "/* Made by lib/linux_calls.awk from the kernel's headers. */"
	print "#include \"lib/linux_calls.h\""
	print ""
	print "#include <stddef.h>"
}

FNR == 1 {
	if (files++)
		print "};"
	printf "\nstatic const char *const calls_%d[] = {\n", files
}

/^#define __NR_[a-z0-9_]+ [0-9]+$/ {
	printf "\t[%d] = \"%s\",\n", $3, substr($2, 6)
}

END {
	print "};"
	print ""
	print "const char *co_linux_call(uint32_t number, bool i386)"
	print "{"
	print "\tconst char *const *calls = i386 ? calls_2 : calls_1;"
	print "\tsize_t count = i386 ? sizeof(calls_2) / sizeof(calls_2[0])"
	print "\t\t\t    : sizeof(calls_1) / sizeof(calls_1[0]);"
	print ""
	print "\treturn number < count && calls[number] ? calls[number] : \"\";"
	print "}"
}
