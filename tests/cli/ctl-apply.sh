#!/bin/sh
# SPDX-License-Identifier: MIT
# cloudosctl apply, diff, down: cloudos.yaml read, compared and made true.  Guests run under a
# real daemon; what is asked for containers is looked at with a gateway that answers as told
# (tests/containers/cli.py has real ones).
# shellcheck source=tests/cli/ctl-lib.sh
. "${srcdir:-.}/tests/cli/ctl-lib.sh"

srcdir=$(cd "${srcdir:-.}" && pwd) # we leave this folder
mkdir "$work/shop"
cd "$work/shop" || exit 99

# ---- a file that is wrong says where, and what would be right ----

# wrong LINE TEXT: the sentence about what is on standard input
wrong() {
	cat >cloudos.yaml
	expect 1 "$ctl" apply
	has "$err" "cloudos.yaml:$1: "
	has "$err" "$2"
}
wrong 1 'the file has no key "contaners"; did you mean "containers"?' <<'END'
contaners: {}
END
wrong 3 'web has no key "comand"; did you mean "command"?' <<'END'
guests:
  web:
    comand: true
END
wrong 5 'health has no key "intervall"; did you mean "interval"?' <<'END'
containers:
  web:
    image: x
    health:
      intervall: 5s
END
wrong 4 'web.memory is "lots"; it must be a size as in 64m' <<'END'
containers:
  web:
    image: x
    memory: lots
END
wrong 4 'web.read_only is "maybe"; it must be true or false' <<'END'
containers:
  web:
    image: x
    read_only: maybe
END
wrong 2 'a.restart must be no, always, on-failure[:N]' <<'END'
guests:
  a: {command: x, restart: "on-failure:often"}
END
wrong 2 'anchors and aliases are not allowed' <<'END'
a: [x, x, x, x]
b: [*a, *a, *a, *a]
END
wrong 2 'only one document is allowed' <<'END'
containers: {}
--- {}
END
wrong 2 'web must be a group of keys' <<'END'
containers:
  web:
END
wrong 4 'web.ports must be a list' <<'END'
containers:
  web:
    image: x
    ports: "80:80"
END
wrong 2 'web must have either image or rootfs' <<'END'
containers:
  web: {command: x}
END
wrong 2 'web: ports has an entry' <<'END'
containers:
  web: {image: x, ports: [nonsense]}
END
wrong 3 'web is there twice' <<'END'
containers:
  web: {image: x}
  web: {image: y}
END
wrong 4 'names are of all containers, guests and services together' <<'END'
containers:
  web: {image: x}
guests:
  web: {command: x}
END
wrong 3 'web depends on daat, which is not in the file; did you mean "data"?' <<'END'
guests:
  data: {command: x}
  web: {command: x, depends_on: [daat]}
END
wrong 3 'circle: a -> c -> b -> a' <<'END'
guests:
  a: {command: x, depends_on: [c]}
  b: {command: x, depends_on: [a]}
  c: {command: x, depends_on: [b]}
END
wrong 2 'circle: a -> a' <<'END'
guests:
  a: {command: x, depends_on: [a]}
END
wrong 3 'it must be started, healthy or completed' <<'END'
guests:
  a: {command: x}
  b: {command: x, depends_on: {a: ready}}
END
wrong 3 'say what it provides' <<'END'
guests:
  a: {command: x}
  b: {command: x, depends_on: {a: healthy}}
END
wrong 3 'there is no volume "data"' <<'END'
containers:
  web:
    volumes: ["data:/data"]
    image: x
END
wrong 1 'a project cannot be called "../x"' <<'END'
project: ../x
END
wrong 2 'anchors and aliases are not allowed' <<'END'
guests:
  a: &x {command: x}
END
head -c 70000 /dev/zero | tr '\0' ' ' >cloudos.yaml
expect 1 "$ctl" apply
has "$err" "more than 65536 bytes"
rm cloudos.yaml
expect 4 "$ctl" apply
has "$err" "there is no file cloudos.yaml"
[ -e "$CLOUDOS_DIR" ] && fail "something was made for a file that is wrong"

# Guests are kept without a daemon: nothing of them may be left when this fails.
processes_here() {
	for p in /proc/[0-9]*; do
		tr '\0' '\n' <"$p/environ" | grep -qx "CLOUDOS_DIR=$CLOUDOS_DIR" &&
			echo "${p#/proc/}"
	done 2>/dev/null # it has ended
}
trap 'status=$?; kill -9 $(processes_here) 2>/dev/null; (exit $status); end' EXIT

# ---- guests: kept running, in order, and only what differs is touched ----

cat >cloudos.yaml <<'END'
guests:
  last:
    command: [sh, -c, 'echo "$GREETING from $PWD"; exec sleep 1000']
    environment: {GREETING: hello}
    depends_on: {first: completed}
    restart: always
  first:
    command: sh -c 'echo done > first; echo out; echo err >&2'
END
expect 1 "$ctl" diff
has "$out" "guest  first  create"
expect 0 "$ctl" apply
[ "$(cat "$out")" = "guest first created
guest last created" ] || fail "not in the order of their dependencies"
[ "$(cat first)" = "done" ] || fail "the first one did not run in the file's folder"
until_true sh -c "'$ctl' guest logs last | grep -q 'hello from $work/shop'"
expect 0 "$ctl" guest logs first
[ "$(cat "$out" "$err")" = "out
err" ] || fail "the log is another"
expect 0 "$ctl" ps
has "$out" "last"

keeper() {
	expect 0 "$ctl" guest ls -o json
	python3 -c 'import json, sys
print([g["keeper"] for g in json.load(open(sys.argv[1])) if g["name"] == sys.argv[2]][0])' \
		"$out" "$1"
}
before=$(keeper last)
expect 0 "$ctl" diff
expect 0 "$ctl" apply
has "$out" "guest last is as described"
[ "$(keeper last)" = "$before" ] || fail "it was started again for nothing"

# what differs is made again, what is gone is named, and removed with --prune
cat >cloudos.yaml <<'END'
guests:
  last:
    command: [sh, -c, 'echo "$GREETING from $PWD"; exec sleep 1000']
    environment: {GREETING: good bye}
    restart: always
END
expect 1 "$ctl" diff
has "$out" "guest  last   recreate  env"
has "$out" "guest  first  remove"
expect 0 "$ctl" apply
has "$out" "guest last recreated: env"
has "$out" "guest first is not in the file (any more); --prune removes it"
[ "$(keeper last)" != "$before" ] || fail "it is still the old one"
expect 0 "$ctl" apply --prune
has "$out" "guest first removed"
expect 0 "$ctl" diff
until_true sh -c "'$ctl' guest logs last | grep -q 'good bye from'"

# one that ends is started again; a keeper that is killed takes it along, and apply mends
guest_pid() {
	expect 0 "$ctl" ps -o json
	python3 -c 'import json, sys
print([s["pid"] for s in json.load(open(sys.argv[1])) if s["name"] == "last"][0])' "$out"
}
pid=$(guest_pid)
kill -9 "$pid"
another() {
	expect 0 "$ctl" ps -o json
	python3 -c 'import json, sys
sys.exit(not [s for s in json.load(open(sys.argv[1])) if s["name"] == "last" and
	str(s["pid"]) != sys.argv[2]])' "$out" "$1"
}
until_true another "$pid"
kill -9 "$(keeper last)"
none() {
	expect 0 "$ctl" ps -o json
	python3 -c 'import json, sys
sys.exit("last" in [s["name"] for s in json.load(open(sys.argv[1]))])' "$out"
}
until_true none
expect 1 "$ctl" diff
has "$out" "guest  last  start"
expect 0 "$ctl" apply
has "$out" "guest last started"

# the daemon is killed: the keeper goes on, and the next daemon starts no second one
counted() {
	expect 0 "$ctl" ps -o json
	python3 -c 'import json, sys
sys.exit(len([s for s in json.load(open(sys.argv[1])) if s["name"] == "last"]) != 1)' "$out"
}
daemon_pid() {
	expect 0 "$ctl" daemon status -o json
	python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["pid"])' "$out"
}
before=$(keeper last)
old=$(daemon_pid)
kill -9 "$old"
next_daemon() {
	"$ctl" daemon start >/dev/null 2>&1
	"$ctl" ps >/dev/null 2>&1 && [ "$(daemon_pid)" != "$old" ]
}
until_true next_daemon
until_true counted
expect 0 "$ctl" guest again
[ ! -s "$out" ] || fail "it was started twice"
[ "$(keeper last)" = "$before" ] || fail "it has another keeper"

# the machine is restarted: all processes end, the run folder goes.  What is to be restarted
# comes again with the daemon, as it was described, in the environment of whoever did; what
# is not, or has ended, stays as it is.
cat >cloudos.yaml <<'END'
guests:
  last:
    command: [sh, -c, 'echo "$GREETING $OF_MY_SHELL from $PWD"; exec sleep 1000']
    environment: {GREETING: hello again}
    restart: always
  over: {command: "true", restart: on-failure}
  broken: {command: sleep 1000, restart: on-failure}
  once: {command: sleep 1000}
END
OF_MY_SHELL=dear
export OF_MY_SHELL
expect 0 "$ctl" apply
unset OF_MY_SHELL
until_true sh -c "'$ctl' guest logs last | grep -q 'hello again dear from $work/shop'"
until_true test -e "$CLOUDOS_DIR/state/guests/shop/over/exit.json"
reboot() { # SIGNAL of the keepers: a shutdown asks, a power failure does not
	for name in last broken once; do
		kill -"$1" "$(keeper "$name")"
	done
	if [ "$1" = TERM ]; then
		until_true sh -c "! '$ctl' guest ls | grep -q kept"
	fi
	until_true all_have_ended
	rm -rf "$CLOUDOS_DIR/run"
	expect 0 "$ctl" daemon start
}
all_have_ended() {
	left=$(processes_here)
	# shellcheck disable=SC2086 # one word each
	[ -z "$left" ] || { kill -9 $left 2>/dev/null; false; }
}
for signal in KILL TERM; do
	rm -f "$CLOUDOS_DIR/state/guests/shop/last/log"
	reboot "$signal"
	until_true sh -c "'$ctl' guest logs last | grep -q 'hello again dear from $work/shop'"
	until_true counted
	until_true sh -c "'$ctl' guest ls | grep -q 'broken.*kept'"
	expect 0 "$ctl" guest ls
	has "$out" "over    shop     exited (0)"
	expect 0 "$ctl" guest ls
	grep -q "once.*kept" "$out" && fail "what is not to be restarted was started by the daemon"
	expect 0 "$ctl" apply
done
expect 0 "$ctl" down

# what fails is told, and what depends on it is not begun
cat >cloudos.yaml <<'END'
guests:
  fails: {command: "false"}
  never: {command: touch never, depends_on: {fails: completed}}
END
expect 1 "$ctl" apply -f cloudos.yaml
has "$err" "fails has failed"
[ -e never ] && fail "begun although what it needs has failed"
cat >cloudos.yaml <<'END'
guests:
  slow: {command: sleep 1000}
  never: {command: touch never, depends_on: {slow: completed}}
END
expect 1 "$ctl" apply --timeout 1
has "$err" "slow has not completed within 1 seconds"

# down: everything of the project, also what the file does not have any more
expect 0 "$ctl" down
has "$out" "guest slow removed"
expect 0 "$ctl" guest ls -o json
is "0" "len(j)" "$out"
expect 0 "$ctl" down --project shop
expect 0 "$ctl" daemon stop
[ -z "$(ls -A "$CLOUDOS_DIR/state/guests")" ] || fail "something is left of the guests"

# ---- containers: what is asked ----

mkdir -p "$work/replies"
mkfifo "$work/ready"
rm -f "$CLOUDOS_DIR/run/http.sock"
timeout 120 python3 "$srcdir/tests/cli/fake_gateway.py" "$CLOUDOS_DIR/run/http.sock" \
	"$work/replies" "$work/requests" "$work/ready" &
fake_pid=$!
cat "$work/ready" >/dev/null
reply() {
	printf 'HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
		"$2" "$(printf %s "$3" | wc -c)" "$3" >"$work/replies/$1"
	: >"$work/requests"
}
cat >cloudos.yaml <<'END'
project: demo
network: none
images:
  busybox: {busybox: true}
volumes:
  data:
containers:
  web:
    image: busybox
    command: sleep 1000
    memory: 64m
    volumes: ["data:/data", "./site:/www:ro"]
    depends_on: {db: healthy}
  db:
    image: busybox
    health: {command: "true", interval: 2s}
END
ok='{"id":1,"name":"x","state":"running","health":"healthy","config":{}}'
reply _v1_sys_images_busybox "200 OK" '{"images":[]}'
reply _v1_sys_image "404 Not Found" '{"error":{"code":"NOT_FOUND","message":"no image"}}'
reply _v1_sys_container_db "200 OK" "$ok"
reply _v1_sys_container_db_start "200 OK" "$ok"
reply _v1_sys_container_web_start "200 OK" "$ok"
reply _v1_sys_containers "200 OK" '{"containers":[]}'
reply _v1_sys_volumes "200 OK" '{"volumes":[{"name":"demo_dat"},{"name":"data"}]}'
expect 1 "$ctl" diff
has "$out" "image      busybox    import"
has "$out" "volume     demo_data  create"
has "$out" "container  db         create"
: >"$work/requests"
expect 0 "$ctl" apply
sed -n 's/^\(GET\|POST\|DELETE\) \([^ ]*\).*/\1 \2/p' "$work/requests" >"$work/order"
[ "$(cat "$work/order")" = "GET /v1/sys/containers?all=true
GET /v1/sys/image?name=busybox
GET /v1/sys/volumes
POST /v1/sys/images/busybox
POST /v1/sys/volumes
POST /v1/sys/containers
POST /v1/sys/container/db/start
GET /v1/sys/container/db
POST /v1/sys/containers
POST /v1/sys/container/web/start" ] || fail "asked otherwise: $(cat "$work/order")"
has "$work/requests" '"volumes":["demo_data:/data","'"$(pwd -P)"'/site:/www:ro"]'
has "$work/requests" '{"name":"demo_data"}'
has "$work/requests" '"networkMode":"none"'
has "$work/requests" '"labels":{"cloudos.project":"demo"}'

# as described; then: a limit that can be changed while it runs, an image that cannot
db='{"id":1,"name":"db","state":"running","config":{"name":"db","image":"busybox","health":{"interval":2.0,"command":"true"},"labels":{"cloudos.project":"demo"},"networkMode":"none"}}'
web() {
	printf '{"id":2,"name":"web","state":"running","config":{"name":"web","image":"%s","command":"sleep 1000","memoryLimit":%s,"volumes":["demo_data:/data","%s/site:/www:ro"],"labels":{"cloudos.project":"demo"},"networkMode":"none"}}' \
		"$1" "$2" "$(pwd -P)"
}
reply _v1_sys_image "200 OK" '{"id":"sha256:1"}'
reply _v1_sys_volumes "200 OK" '{"volumes":[{"name":"demo_data"}]}'
reply _v1_sys_containers "200 OK" "{\"containers\":[$db,$(web busybox 64)]}"
expect 0 "$ctl" diff
reply _v1_sys_containers "200 OK" "{\"containers\":[$db,$(web busybox 32)]}"
expect 1 "$ctl" diff
has "$out" "container  web   update  memoryLimit"
reply _v1_sys_container_web_update "200 OK" "$ok"
expect 0 "$ctl" apply
has "$work/requests" '{"memoryLimit":64}'
hasnt "$work/requests" DELETE
reply _v1_sys_containers "200 OK" "{\"containers\":[$db,$(web other 32)]}"
expect 1 "$ctl" diff
has "$out" "container  web   recreate  image memoryLimit"
# what there is has more than the file: one more element, one more member
more=$(printf %s "$db" | sed 's/"cloudos.project":"demo"/"cloudos.project":"demo","a":"b"/')
reply _v1_sys_containers "200 OK" "{\"containers\":[$more,$(web busybox 64)]}"
expect 1 "$ctl" diff
has "$out" "container  db    update  labels"
more=$(web busybox 64 | sed 's|"demo_data:/data"|"demo_data:/data","x:/x"|')
reply _v1_sys_containers "200 OK" "{\"containers\":[$db,$more]}"
expect 1 "$ctl" diff
has "$out" "container  web   recreate  volumes"
# what the daemon refuses is said with file and line
reply _v1_sys_containers "200 OK" "{\"containers\":[$db]}"
reply _v1_sys_container_web_start "400 Bad Request" \
	'{"error":{"code":"INVALID_REQUEST","message":"it cannot be begun"}}'
expect 1 "$ctl" apply
has "$err" "cloudos.yaml:8: web: it cannot be begun"
# a container of that name that is somebody else's is left alone
reply _v1_sys_containers "200 OK" '{"containers":[{"id":3,"name":"web","config":{}}]}'
expect 5 "$ctl" apply
has "$err" "cloudos.yaml:8: there is a container web already that is not of project demo"
hasnt "$work/requests" POST
exit 0
