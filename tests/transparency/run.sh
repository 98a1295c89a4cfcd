#!/bin/sh
# SPDX-License-Identifier: MIT
# Real programs, natively and under one engine, must not be told apart; and each run proves
# that it was under the engine: see prove() below.
#
# usage: run.sh ENGINE [WORDS]    in the build folder; WORDS choose cases by their name
#
# PERSONALITY=linux in the environment runs them as programs of Linux, under engine trap.
set -eu

engine=${1:?usage: run.sh ENGINE [WORDS]}
personality=${PERSONALITY:-cloudos}
only=${2:-}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
build=$(pwd)
probe=$build/transparency-probe
launcher=$build/cloudos-exec
ctl=$build/cloudosctl

for program in "$probe" "$launcher" "$ctl"; do
	[ -x "$program" ] || {
		echo "$program is missing: run this in the build folder, after make" >&2
		exit 1
	}
done

# The leak checker of instrumented guests wants to be a tracer, and they have one already.
if [ "$engine" = ptrace ]; then
	export ASAN_OPTIONS="detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/transparency.XXXXXX")
mkdir "$work/bin" "$work/cases" "$work/dir"

finish()
{
	status=$?
	cd /
	"$ctl" daemon stop >/dev/null 2>&1 || true
	rm -rf "$work"
	exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# What both runs see.
python3=$(command -v /usr/bin/python3 || command -v python3 || true)
export CLOUDOS_DIR="$work/cloudos" HOME="$work/dir" TMPDIR="$work" LC_ALL=C TZ=UTC
export PATH="$work/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='2001-02-03T04:05:06Z' \
	GIT_COMMITTER_DATE='2001-02-03T04:05:06Z'
unset ENV BASH_ENV CDPATH PYTHONPATH PYTHONHOME PERL5OPT NODE_OPTIONS 2>/dev/null || true
unset CO_ENGINE 2>/dev/null || true

# ---- can this box do it at all?  Asked of the kernel, not of what is under test ----

if ! reason=$("$probe" can "$engine"); then
	echo "SKIP: transparency under $engine: $reason"
	exit 77
fi
[ -n "$python3" ] || {
	echo "SKIP: transparency under $engine: python3 is missing: apt install python3"
	[ -z "${CO_STRICT:-}" ] || exit 1
	exit 77
}
"$ctl" daemon start >"$work/start" 2>&1 || {
	echo "cloudosctl daemon start failed:" >&2
	cat "$work/start" >&2
	exit 1
}

# its place in personalities.def, by which the engine knows it
number=$("$ctl" personality ls -o json | "$python3" -c '
import json, sys
print([row["name"] for row in json.load(sys.stdin)].index(sys.argv[1]))' "$personality")

# ---- the table ----

# Writes cases/NUMBER.KEY and cases/NUMBER.body.
awk -v into="$work/cases/" '
	/^== / {
		n++; base = into sprintf("%03d", n); head = 1
		print substr($0, 4) >(base ".name"); printf "" >(base ".body"); next
	}
	!n { next }
	head && /^#/ { next }
	head && /^(needs|wants|with|trap|arguments|before|terminal): / {
		key = $1; sub(":", "", key); sub(/^[a-z]+: +/, ""); print >(base "." key); next
	}
	{ head = 0; print >(base ".body") }
' "$here/cases.list"

key()
{
	if [ -f "$case.$1" ]; then
		cat "$case.$1"
	else
		echo "${2:-}"
	fi
}

# ---- one run ----

# The guest: $work/bin/guest becomes, natively or under the engine, the program it is given.
make_guest()
{
	if [ "$1" = native ]; then
		under="'$probe' prove '$out.proof' -"
	else
		under="'$launcher' --engine=$engine --personality=$personality"
		under="$under --trace='$out.trace' --name='$id' --"
		under="$under '$probe' prove '$out.proof' '$ctl'"
	fi
	printf '#!/bin/sh\nexec %s "$@"\n' "$under" >"$work/bin/guest"
	chmod +x "$work/bin/guest"
}

# What is left in the folder; git's index holds inode numbers.
list_files()
{
	(
		cd "$work/dir"
		find . -printf '%y %m %p %l\n' | sort
		find . -type f ! -path '*/.git/index' -exec sha256sum {} + | sort -k 2
	) >"$out.files"
}

# native|under
run()
{
	out=$work/$1
	rm -rf "$work/dir" "$out".*
	mkdir "$work/dir"
	make_guest "$1"
	with=$(key with sh)
	[ "$with" = busybox ] && with='busybox sh'
	case $(key terminal) in
	inside) set -- "$python3" "$here/terminal.py" "$case.body" guest \
		env TERM=dumb PS1='ready>' bash --norc --noprofile -i ;;
	outside) set -- "$python3" "$here/terminal.py" "$case.body" \
		env TERM=dumb PS1='ready>' bash --norc --noprofile -i ;;
	*)
		cp "$case.body" "$work/script"
		# shellcheck disable=SC2086 # one or two words
		set -- guest $with "$work/script"
		eval "set -- \"\$@\" $(key arguments)"
		;;
	esac
	(
		cd "$work/dir"
		# shellcheck disable=SC2046 # a list of words
		exec "$probe" run "$out.status" "$probe" with $(key before) -- "$@"
	) </dev/null >"$out.stdout" 2>"$out.stderr"
	# the two runs write to files of different names; that much may show
	sed -i "s,$out\\.,$work/RUN.,g" "$out.stdout" "$out.stderr"
	if [ "$engine:${out##*/}" = trap:under ] && [ -f "$case.trap" ]; then
		sed -E -i "$(key trap)" "$out.stdout"
	fi
	list_files
}

# ---- the verdict ----

complain()
{
	echo "    $*"
	bad=1
}

compare()
{
	for what in status stdout stderr files; do
		cmp -s "$work/native.$what" "$work/under.$what" && continue
		complain "its $what differs (- native, + under $engine):"
		diff -u "$work/native.$what" "$work/under.$what" | tail -n +3 | head -n 30 |
			sed 's/^/      /'
	done
}

proof_of()
{
	sed -n "s/^$2:[[:space:]]*//p" "$1.proof" 2>/dev/null
}

# A grandchild of the run saw the filter, the tracer or the engine in its own memory, and the
# daemon's list names it.  A CloudOS program also had its private call answered, by the daemon
# of this suite, and the trace shows it.
prove()
{
	case $engine in
	notify) [ "$(proof_of "$out" Seccomp)" = 2 ] ||
		complain "no filter in the guest's tree: Seccomp $(proof_of "$out" Seccomp)" ;;
	ptrace) [ "$(proof_of "$out" TracerPid)" != 0 ] ||
		complain "no tracer in the guest's tree" ;;
	trap) [ "$(proof_of "$out" Trap)" = "$number" ] ||
		complain "the trap engine is not in the guest's tree, or not as $personality" ;;
	esac
	if [ -n "$(proof_of "$work/native" Trap)" ]; then
		complain "the trap engine is in the native run"
	fi
	if [ "$personality" = cloudos ]; then prove_calls; fi
	"$python3" - "$out.proof.ps" "$id" "$engine" "$personality" <<'END' || bad=1
import json, sys
path, name, engine, personality = sys.argv[1:]
try:
    rows = [row for row in json.load(open(path)) if row["name"] == name]
except (OSError, ValueError, KeyError, TypeError) as error:
    sys.exit(print(f"    cloudosctl ps -o json inside the guest: {error!r}") or 1)
if [(row["engine"], row["personality"]) for row in rows] != [(engine, personality)]:
    sys.exit(print(f"    cloudosctl ps names {rows} for {name}, not {engine}, {personality}") or 1)
END
}

prove_calls()
{
	answer=$(proof_of "$out" domain)
	case $answer in
	"" | -*) complain "the private call in a grandchild was not answered: ${answer:-nothing}" ;;
	esac
	domain=${domain:-$answer}
	[ "$answer" = "$domain" ] || complain "domain $answer, but earlier it was $domain"
	case $(proof_of "$work/native" domain) in
	-1*) ;;
	*) complain "the native run was answered too, so it was no native run" ;;
	esac
	grep -q 'domain(' "$out.trace" 2>/dev/null || {
		complain "--trace does not show the private call; it has:"
		sed 's/^/      /' "$out.trace" 2>/dev/null || true
	}
}

missing_of()
{
	for command in $1; do
		command -v "$command" >/dev/null 2>&1 || printf '%s ' "$command"
	done
}

passed=0 failed=0 skipped=0 domain=
for name_file in "$work"/cases/*.name; do
	case=${name_file%.name}
	name=$(cat "$name_file")
	id=case-${case##*/}
	case $name in
	*"$only"*) ;;
	*) continue ;;
	esac
	missing=$(missing_of "$(key needs)")$(missing_of "$(key wants)")
	if [ -n "$missing" ]; then
		echo "SKIP: $name ($engine): missing: $missing"
		skipped=$((skipped + 1))
		if [ -n "${CO_STRICT:-}" ] && [ -n "$(missing_of "$(key needs)")" ]; then
			echo "FAIL: CO_STRICT: that package is in packages.list"
			failed=$((failed + 1))
		fi
		continue
	fi
	bad=
	run native
	run under
	compare
	prove
	if [ -z "$bad" ]; then
		echo "PASS: $name"
		passed=$((passed + 1))
	else
		echo "FAIL: $name"
		failed=$((failed + 1))
	fi
done

echo "transparency under $engine as $personality: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
