#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs that cannot be run, each with a sentence and the status that shells use; and
# where programs are looked for.
. "${srcdir:-.}/tests/cli/exec-lib.sh"
cd "$work" || exit 99

# ---- not there, not to be run ----
expect 127 "$x" no-such-program
says 'cloudos-exec: cannot run no-such-program: not found in PATH'
expect 127 "$x" ./no-such-program
says './no-such-program: No such file or directory'
expect 127 "$x" ''
mkdir dir
expect 126 "$x" ./dir
says 'cannot run ./dir: it is a directory'
printf '#!/bin/sh\n' >plain
expect 126 "$x" ./plain
says 'it is not executable (chmod +x ./plain)'
expect 126 "$x" ./plain/below
says './plain/below: Not a directory'
mkfifo pipe && chmod +x pipe
expect 126 "$x" ./pipe
says 'it is no regular file'
ln -s loop loop
expect 126 "$x" ./loop
says 'loop'

# ---- ELF files that are none of ours, or damaged ----
# elf FILE CLASS+ORDER TYPE MACHINE VADDR: a header and one PT_LOAD
elf() {
	{
		printf '\177ELF%b\001' "$2"
		head -c 9 /dev/zero
		printf '%b%b\001\000\000\000' "$3" "$4" # e_type, e_machine, e_version
		head -c 8 /dev/zero
		printf '\100\000\000\000\000\000\000\000' # e_phoff: 64
		head -c 12 /dev/zero
		printf '\100\000\070\000\001\000\000\000\000\000\000\000'
		printf '\001\000\000\000\005\000\000\000' # PT_LOAD, r-x
		head -c 8 /dev/zero
		printf '%b' "$5$5"
		head -c 24 /dev/zero
	} >"$1"
	chmod +x "$1"
}
low='\000\000\100\000\000\000\000\000'  # 0x400000
anos='\000\000\000\002\000\000\000\000' # 0x2000000
elf arm '\002\001' '\002\000' '\267\000' "$low"
expect 126 "$x" ./arm
says 'it is a program for aarch64 and this machine is x86-64'
elf big '\002\002' '\000\002' '\000\026' "$low"
expect 126 "$x" ./big
says "it is a program for s390"
head -c 40 arm >"cut" && chmod +x "cut"
expect 126 "$x" ./cut
says 'cannot run ./cut: the file is cut off'
head -c 64 /bin/true >header && chmod +x header
expect 126 "$x" ./header
says 'cannot run ./header: '
elf foreign '\002\001' '\002\000' '\076\000' "$anos"
expect 126 "$x" ./foreign # taken for one of Anos, whose loader looks at it
says 'cannot run ./foreign: it has no segment to load'
expect 125 "$x" --personality=playsys /bin/true
says 'it is a program for playsys, and this version runs'
has "$err" 'cloudosctl personality show playsys'
printf '\000asm\001\000\000\000' >module && chmod +x module
expect 125 "$x" ./module
says 'it is a program for'
if command -v patchelf >/dev/null 2>&1; then
	cp /bin/true needs && patchelf --add-needed libplaysys.so needs
	expect 125 "$x" ./needs
	says 'it is a program for'
fi

# ---- interpreters ----
printf '#!/no/such/interpreter\n' >script && chmod +x script
expect 126 "$x" ./script
says 'its interpreter, named in its first line or its ELF header, is missing'
python3 - <<'END' || fail "cannot make a program without interpreter"
data = open("/bin/true", "rb").read()
at = data.index(b"/lib64/ld-linux")
open("lost", "wb").write(data[:at] + b"/lib64/xx" + data[at + 9:])
END
chmod +x lost
expect 126 "$x" ./lost
says 'its interpreter, named in its first line or its ELF header, is missing'

# As execvp does: what is no program at all is for the shell, with its arguments.
# shellcheck disable=SC2016 # for that shell
echo 'echo "$0 $# $2"; exit 7' >bare && chmod +x bare
expect 7 "$x" ./bare one 'two words'
has "$out" './bare 2 two words'
: >empty && chmod +x empty
expect 0 "$x" ./empty
printf '#!/bin/sh\necho "script $1"\n' >with && chmod +x with
expect 0 "$x" ./with arg
has "$out" 'script arg'

# ---- PATH ----
mkdir one two
printf '#!/bin/sh\necho one\n' >one/tool
printf '#!/bin/sh\necho two\n' >two/tool
chmod +x two/tool
PATH="$work/one:$work/two:$PATH" expect 0 "$x" tool
has "$out" two # one/tool may not be executed: the search goes on
PATH="$work/one:$PATH" expect 126 "$x" tool
says 'one/tool: it is not executable'
chmod +x one/tool
PATH="$work/one:$work/two:$PATH" expect 0 "$x" tool
has "$out" one
cd one || exit 99
PATH=":$PATH" expect 0 "$x" tool # an empty part is the current folder
has "$out" one
cd "$work" || exit 99
PATH="$work/none:$PATH" expect 127 "$x" tool
PATH="$work/dir2:$PATH"
mkdir dir2 dir2/true
expect 0 "$x" true # a folder of that name is passed over

# argv[0] is what was typed
printf '#!/bin/sh\ntr "\\0" "\\n" </proc/$$/cmdline\n' >show && chmod +x show
expect 0 "$x" sh -c 'echo "$0"' zero
has "$out" zero
exit 0
