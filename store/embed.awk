# SPDX-License-Identifier: MIT
# Turns the numbered files of store/schema into one C table, in the order given.
# state-0001-init.sql is migration 1 of state.db.

function name_of(path,    parts, n) {
	n = split(path, parts, "/")
	return parts[n]
}

BEGIN {
	print "/* Made by store/embed.awk from store/schema; edit those files. */"
	print "#include \"store/internal.h\""
	print ""
	print "const struct store_migration store_migrations[] = {"
}

FNR == 1 {
	if (open)
		print "\t},"
	file = name_of(FILENAME)
	database = file
	sub(/-.*/, "", database)
	number = file
	sub(/^[a-z]*-/, "", number)
	sub(/-.*/, "", number)
	printf "\t{ \"%s\", %d, \"%s\",\n", database, number + 0, file
	open = 1
}

{
	line = $0
	gsub(/\\/, "\\\\", line)
	gsub(/"/, "\\\"", line)
	printf "\t  \"%s\\n\"\n", line
}

END {
	if (open)
		print "\t},"
	print "\t{ NULL, 0, NULL, NULL }"
	print "};"
}
