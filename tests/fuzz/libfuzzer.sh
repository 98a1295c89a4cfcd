#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the fuzz targets with clang's libFuzzer and the address and undefined sanitizers
# and runs each for CO_FUZZ_SECONDS (20).  Run by `make check-fuzz` in the build folder.
# Finds are kept in fuzz-work/NAME, a crashing input is named by libFuzzer.
set -eu
: "${srcdir:=.}"

seconds=${CO_FUZZ_SECONDS:-20}
clang=${CLANG:-clang}
work=fuzz-work
mkdir -p $work
printf '#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);\nint LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)\n{\n\treturn d && n ? 0 : 0;\n}\n' >$work/probe.c
if ! $clang -fsanitize=fuzzer,address,undefined $work/probe.c -o $work/probe >$work/probe.log 2>&1
then
	echo "SKIP: $clang with -fsanitize=fuzzer is missing: apt install clang libclang-rt-dev" >&2
	if [ "${CO_STRICT:-}" = 1 ]; then
		exit 1
	fi
	exit 77
fi

# fuzz NAME SOURCE...: builds NAME from its sources and runs it
fuzz() {
	name=$1
	shift
	sources=
	for source in "$@"; do
		sources="$sources $srcdir/$source"
	done
	# shellcheck disable=SC2086 # flags and sources are lists
	$clang -std=gnu17 -D_GNU_SOURCE -g -O1 -pthread -I"$srcdir/include" -I"$srcdir" \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		"$srcdir/tests/fuzz/fuzz_$name.c" $sources ${LIBS:-} -o "$work/fuzz-$name"
	mkdir -p "$work/$name"
	echo "fuzz-$name: $seconds seconds"
	"$work/fuzz-$name" -max_total_time="$seconds" -timeout=10 -max_len=70000 \
		-dict="$srcdir/tests/fuzz/corpus/$name.dict" -print_final_stats=1 \
		-artifact_prefix="$work/$name-" "$work/$name" \
		"$srcdir/tests/fuzz/corpus/$name" >"$work/$name.log" 2>&1 || {
		tail -n 40 "$work/$name.log"
		echo "FAIL: fuzz-$name; the input is in $(pwd)/$work, to repeat: $work/fuzz-$name FILE"
		exit 1
	}
	grep -E 'number_of_executed_units|average_exec_per_sec|^Done|cov:' "$work/$name.log" | tail -n 4
}

base="lib/err.c lib/escape.c"
yaml="lib/yaml_read.c lib/nearest.c"
# shellcheck disable=SC2086 # a list
fuzz wire lib/wire.c $base
# shellcheck disable=SC2086 # a list
LIBS=${YAML_LIBS:--lyaml} fuzz config cloudosd/config.c lib/log.c $yaml $base
# shellcheck disable=SC2086 # a list
LIBS=${YAML_LIBS:--lyaml} fuzz handlers cloudosd/handlers_file.c $yaml $base
# shellcheck disable=SC2086 # a list
fuzz attached cloudosd/service/attached.c cloudosd/service/handler.c \
	cloudosd/service/handler_builtin.c cloudosd/service/handler_call.c lib/buf.c \
	lib/json_scan.c lib/utf8.c $base
sed -e 's/["\\]/\\&/g' -e 's/^/"/' -e 's/$/\\n"/' "$srcdir/packaging/services.yaml" >$work/services-yaml.h
# shellcheck disable=SC2086 # a list
LIBS="${YAML_LIBS:--lyaml} -I$work -DCO_DATADIR=\"/usr/share/cloudos\"" fuzz names cloudosd/names.c \
	cloudosd/service/names.c lib/log.c $yaml $base
# shellcheck disable=SC2086 # a list
LIBS=${YAML_LIBS:--lyaml} fuzz apply cli/apply_file.c cli/apply_order.c cli/container_config.c \
	cli/units.c cloudosd/service/container_config.c \
	cloudosd/service/container_words.c lib/buf.c lib/json_scan.c lib/utf8.c \
	$yaml $base
# shellcheck disable=SC2086 # a list
fuzz cron cloudosd/service/cron.c cloudosd/service/zone.c lib/time.c $base
fuzz filter shim/filter.c tests/trap/filter_model.c
ctr=
for source in config config_linux config_process config_read; do
	ctr="$ctr cloudosd/ctr/$source.c"
done
# shellcheck disable=SC2086 # a list
LIBS=-lm fuzz ctr $ctr lib/buf.c lib/json_scan.c lib/utf8.c $base
sites="cloudosd/sites/hash.c cloudosd/sites/image.c cloudosd/sites/scan.c cloudosd/sites/unwind.c"
test "${CO_ZYDIS:-1}" = 1 && decoder=zydis || decoder=none
# shellcheck disable=SC2086 # a list
fuzz sites $sites cloudosd/sites/decoder_$decoder.c $base
system=
for source in boot devices disk image root spawn vfs; do
	system="$system personality/anos/system/$source.c"
done
# shellcheck disable=SC2086 # a list
fuzz anos $system $base
# guest code: its own headers
# guest SOURCE...: its objects, in $guest
guest()
{
	guest=
	for source in "$@"; do
		object=$work/guest-$(basename "$source").o
		$clang -std=gnu17 -ffreestanding -g -O1 -nostdinc \
			-isystem "$($clang -print-file-name=include)" -isystem uapi \
			-I"$srcdir/include" -I"$srcdir" -fno-sanitize-recover=all \
			-fsanitize=fuzzer-no-link,address,undefined \
			-c "$srcdir/$source.c" -o "$object"
		guest="$guest $object"
	done
}
guest shim/elf shim/config shim/program shim/rt/fmt
LIBS=$guest fuzz elf tests/fuzz/maps.c
guest personality/anos/guest_elf personality/anos/guest_stack
# shellcheck disable=SC2086 # a list
LIBS=$guest fuzz load tests/fuzz/maps.c $base
services=
for source in events feed feed_add logs metrics series; do
	services="$services cloudosd/service/$source.c"
done
# shellcheck disable=SC2086 # a list
fuzz state personality/blackroad/state.c cloudosd/service/state.c lib/buf.c lib/json_scan.c lib/utf8.c $base
# shellcheck disable=SC2086 # a list
fuzz sse $services lib/buf.c lib/json_scan.c lib/log.c lib/pattern.c lib/sse.c lib/utf8.c $base
guest shim/memory
# shellcheck disable=SC2086 # a list
LIBS=$guest fuzz pages cloudosd/memory.c $base
# llhttp: its sources where they are compiled here, else the library; its members are
# unions of states, which the undefined sanitizer has nothing to say about
http="lib/http_message.c lib/buf.c lib/utf8.c tests/fuzz/http_reference.c"
test "${CO_HTTP_PARSER:-0}" = 1 && peer=http_peer parser=-lhttp_parser || peer=http_peer_none parser=
llhttp=${LLHTTP_LIBS:-}
if [ -n "${LLHTTP_DIR:-}" ]; then
	llhttp=
	for source in api http llhttp; do
		# shellcheck disable=SC2086 # a list
		$clang -std=gnu17 -g -O1 -w ${LLHTTP_CFLAGS:-} -DLLHTTP_STRICT_MODE=1 \
			-fsanitize=fuzzer-no-link,address -c "$LLHTTP_DIR/$source.c" \
			-o "$work/llhttp-$source.o"
		llhttp="$llhttp $work/llhttp-$source.o"
	done
fi
# shellcheck disable=SC2086 # lists
LIBS="$llhttp ${LLHTTP_CFLAGS:-} $parser" fuzz http $http tests/fuzz/$peer.c $base
# shellcheck disable=SC2086 # lists
LIBS="$llhttp ${LLHTTP_CFLAGS:-}" fuzz front $http cloudosd/http/front_head.c lib/uri.c $base
# shellcheck disable=SC2086 # a list
fuzz uri lib/uri.c lib/buf.c lib/utf8.c $base
# shellcheck disable=SC2086 # a list
LIBS="-larchive -lnettle" fuzz images cloudosd/image/manifest.c cloudosd/image/stream.c \
	cloudosd/image/digest.c cloudosd/image/io.c cloudosd/image/report.c lib/image_index.c lib/image_name.c \
	lib/json_scan.c lib/buf.c lib/utf8.c lib/time.c $base
echo "check-fuzz: no failures"
