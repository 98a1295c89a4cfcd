#!/bin/sh
# SPDX-License-Identifier: MIT
# cloudosctl container and image: what is asked for every option, and what is made of the
# answers.
# shellcheck source=tests/cli/ctl-lib.sh
. "${srcdir:-.}/tests/cli/ctl-lib.sh"

mkdir -p "$CLOUDOS_DIR/run" "$work/replies"
chmod 700 "$CLOUDOS_DIR/run"
requests=$work/requests

expect 3 "$ctl" container ps
has "$err" "no daemon is running"

mkfifo "$work/ready"
python3 "${srcdir:-.}/tests/cli/fake_gateway.py" "$CLOUDOS_DIR/run/http.sock" \
	"$work/replies" "$requests" "$work/ready" &
fake_pid=$!
cat "$work/ready" >/dev/null

# reply PATH STATUS BODY
reply() {
	printf 'HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
		"$2" "$(printf %s "$3" | wc -c)" "$3" >"$work/replies/$1"
	: >"$requests"
}

# sent CODE: runs python on the JSON of the last request with a body as `j`; must be true
sent() {
	python3 - "$requests" "$1" <<'END' >>"$err" 2>&1 || fail "not true of what was sent: $1"
import json, sys
text = open(sys.argv[1]).read()
j = json.loads(text[text.index('{'):])
sys.exit(0 if eval(sys.argv[2]) else (print(j), 1)[1])
END
}

# ---- create: options are read as fingers know them ----

web='{"id":7,"name":"web","image":"busybox:latest","command":["sleep","1000"],"state":"running","health":"none","pid":4711,"exitCode":null,"created":"2026-11-20T12:00:00Z","config":{"image":"busybox"},"network":{"mode":"bridge","ip":"10.0.0.2","ports":["127.0.0.1:8080:80"]}}'
reply _v1_sys_containers "201 Created" "$web"
expect 0 "$ctl" container create -it --name web -e A=b -e 'C=d e' -v ./data:/data:ro \
	-v named:/n -p 8080:80 -p 53:53/udp --net none -m 64m --cpus 0.5 --pids 100 \
	-u 1000:100 -w /srv --entrypoint /bin/sh --hostname box -l tier=front -l empty \
	--restart on-failure:3 --health-cmd 'test -e /ok' --health-interval 1m30s \
	--health-retries 2 --stop-signal INT --stop-timeout 3 --read-only --tmpfs /run \
	--cap-add NET_ADMIN --cap-drop ALL --no-init --no-calls --runtime crun \
	--userns host --seccomp unconfined --log-size 1m --log-files 2 --shm-size 1g \
	--privileged --allow-unenforced-limits busybox sh -c 'echo hi' --name inner
[ "$(cat "$out")" = 7 ] || fail "the number was not printed"
has "$requests" "POST /v1/sys/containers HTTP/1.1"
sent 'j["image"] == "busybox" and j["command"] == ["sh", "-c", "echo hi", "--name", "inner"]'
sent 'j["tty"] is True and j["stdin"] is True and j["name"] == "web"'
sent 'j["env"] == ["A=b", "C=d e"] and j["labels"] == {"tier": "front", "empty": ""}'
sent "j['volumes'] == ['$(pwd -P)/data:/data:ro', 'named:/n']"
sent 'j["ports"] == ["8080:80", "53:53/udp"] and j["networkMode"] == "none"'
sent '(j["memoryLimit"], j["cpuLimit"], j["pidsLimit"], j["shmSize"]) == (64, 50, 100, 1024)'
sent 'j["user"] == "1000:100" and j["workingDir"] == "/srv" and j["hostname"] == "box"'
sent 'j["entrypoint"] == ["/bin/sh"] and j["restart"] == "on-failure:3"'
sent 'j["health"] == {"command": "test -e /ok", "interval": 90, "retries": 2}'
sent 'j["stopSignal"] == "INT" and j["stopTimeout"] == 3 and j["readOnly"] is True'
sent 'j["tmpfs"] == ["/run"] and j["capAdd"] == ["NET_ADMIN"] and j["capDrop"] == ["ALL"]'
sent 'j["init"] is False and j["calls"] is False and j["runtime"] == "crun"'
sent 'j["userns"] == "host" and j["seccomp"] == "unconfined" and j["privileged"] is True'
sent '(j["logMaxSize"], j["logMaxFiles"], j["allowUnenforcedLimits"]) == (1, 2, True)'
sent '"rm" not in j and "rootfs" not in j'

# what was not said is not sent
: >"$requests"
expect 0 "$ctl" container create busybox -o json
sent 'j == {"image": "busybox", "command": ["-o", "json"]}'
: >"$requests"
expect 0 "$ctl" container create --network host -- busybox
sent 'j == {"image": "busybox", "networkMode": "host"}'
: >"$requests"
expect 0 "$ctl" container create --rootfs / true
sent 'j == {"rootfs": "/", "command": ["true"]}' 2>/dev/null ||
	fail "the folder was not sent"

# variables: of a file, of ours, one that is not set
printf '# comment\n\nX=1\n  Y=two words\nHOME\nNOT_SET_AT_ALL\n' >"$work/env"
: >"$requests"
expect 0 env HERE=there "$ctl" container create --env-file "$work/env" -e HERE \
	-e NOT_SET_AT_ALL -e LAST=1 busybox
sent "j['env'] == ['X=1', 'Y=two words', 'HOME=$HOME', 'HERE=there', 'LAST=1']"

# what cannot be meant is not sent
: >"$requests"
for wrong in "-m 12parsec" "-m 0" "--cpus none" "--cpus 0" "--pids 0" "--pids -1" \
	"--health-interval 1x" "--log-files 0" "-v data" "-v :/x" "-v a:b" "-e =x" \
	"--init --no-init" "--rm --restart always" "--env-file $work/none" \
	"--rootfs --memory"; do
	# shellcheck disable=SC2086
	"$ctl" container create $wrong busybox >"$out" 2>"$err" && fail "taken: $wrong"
	[ -s "$err" ] || fail "no sentence for $wrong"
done
expect 2 "$ctl" container create --memory 12parsec busybox
has "$err" '--memory takes a size as in 64m or 1.5g, not "12parsec"'
expect 2 "$ctl" container create
has "$err" "needs IMAGE"
expect 2 "$ctl" container create --naem x busybox
has "$err" "did you mean --name?"
[ -s "$requests" ] && fail "a wrong command line was sent"

# ---- one request each ----

verb() {
	path=$1 request=$2
	shift 2
	reply "_v1_sys_container_web$path" "200 OK" "$web"
	expect 0 "$ctl" container "$@"
	has "$requests" "$request"
}
verb _start "POST /v1/sys/container/web/start" start web
[ "$(cat "$out")" = web ] || fail "the name was not said"
verb _stop "POST /v1/sys/container/web/stop" stop web
verb _stop '{"timeout":3}' stop -t 3 web
verb _restart '{"timeout":0}' restart --time 0 web
verb _pause "/pause" pause web
verb _unpause "/unpause" unpause web
verb _kill '{"signal":9}' kill web
verb _kill '{"signal":15}' kill -s term web
verb _update '{"memoryLimit":128,"ports":["9090:80"],"restart":"no"}' \
	update -m 128m -p 9090:80 --restart no web
verb _update '{"name":"shop"}' rename web shop
verb "" "DELETE /v1/sys/container/web?force=true" rm -f web
expect 2 "$ctl" container update web
has "$err" "what is to be changed?"
expect 2 "$ctl" container kill -s NOSUCH web
reply _v1_sys_container_web_wait "200 OK" '{"id":7,"exitCode":3,"oomKilled":false,"signal":0}'
expect 0 "$ctl" container wait web
[ "$(cat "$out")" = 3 ] || fail "wait prints the status"
reply _v1_sys_containers_prune "200 OK" '{"removed":[1,2]}'
expect 0 "$ctl" container prune
has "$out" "2 containers removed"

# several: goes on after a failure, says each, ends with the first
error='{"error":{"code":"NOT_FOUND","message":"there is no container nosuch"}}'
reply _v1_sys_container_nosuch_stop "404 Not Found" "$error"
reply _v1_sys_container_web_stop "200 OK" "$web"
expect 4 "$ctl" container stop nosuch web
has "$err" "there is no container nosuch"
[ "$(cat "$out")" = web ] || fail "the second one was not stopped"
reply _v1_sys_container_web_start "409 Conflict" '{"error":{"code":"BUSY","message":"it is paused"}}'
expect 5 "$ctl" container start web
has "$err" "it is paused"

# ---- listing ----

old='{"id":3,"name":"old\u001b[31m","image":"b","command":["a","very long command that does not fit into a column"],"state":"exited","health":"unhealthy","exitCode":137,"created":null,"config":{"labels":{"tier":"back"}},"network":{"ports":[]}}'
reply _v1_sys_containers "200 OK" "{\"containers\":[$web,$old]}"
expect 0 "$ctl" container ps
has "$requests" "GET /v1/sys/containers HTTP/1.1"
has "$out" "web          busybox:latest  sleep 1000"
has "$out" "127.0.0.1:8080:80"
has "$out" "exited (137)"
has "$out" 'old\x1b[31m'
has "$out" "..."
hasnt "$out" "$(printf '\033')"
expect 0 "$ctl" container ls -a
has "$requests" "all=true"
expect 0 "$ctl" container ps -q
[ "$(cat "$out")" = "7
3" ] || fail "-q prints numbers"
filtered() {
	listed=$1
	shift
	for filter; do
		shift
		set -- "$@" -f "$filter"
	done
	expect 0 "$ctl" container ps -q "$@"
	[ "$(tr '\n' ' ' <"$out")" = "$listed" ] || fail "filter $*"
}
filtered "7 " state=running
filtered "3 " status=exited
filtered "7 " name=we
filtered "3 " id=3
filtered "3 " label=tier
filtered "3 " label=tier=back
filtered "" label=tier=front
filtered "3 " health=unhealthy
filtered "" health=unhealthy state=running
expect 2 "$ctl" container ps -f colour=blue
expect 0 "$ctl" container ps -o json -f state=running
is "['web']" "[c['name'] for c in j]" "$out"

# ---- inspect: back to a command line that makes the same ----

config='{"name":"web","image":"busybox","command":["sh","-c","echo '"'"'hi'"'"'"],"env":["A=b c"],"memoryLimit":64,"cpuLimit":50,"init":false,"health":{"command":["test","-e","a b"],"interval":5},"ports":["80:80"],"labels":{"x":"y z"},"tty":true}'
reply _v1_sys_container_web "200 OK" "{\"id\":7,\"config\":$config}"
expect 0 "$ctl" container inspect web
is_json "$out"
expect 0 "$ctl" container inspect --as-command web
sed 's/^cloudosctl container run -d/"$ctl" container create/' "$out" >"$work/again"
reply _v1_sys_containers "201 Created" "$web"
# shellcheck source=/dev/null
. "$work/again" >/dev/null || fail "the command line is not one"
sent 'j["env"] == ["A=b c"] and j["command"] == ["sh", "-c", "echo '"'hi'"'"] and j["init"] is False'
sent 'j["memoryLimit"] == 64 and j["cpuLimit"] == 50 and j["labels"] == {"x": "y z"}'
sent 'j["health"]["interval"] == 5 and j["health"]["command"] == "test -e '"'a b'"'" and j["tty"] is True'

# ---- run: its own failures are 125 to 127 ----

reply _v1_sys_containers "404 Not Found" '{"error":{"code":"NOT_FOUND","message":"there is no image busybox"}}'
expect 125 "$ctl" container run busybox true
has "$err" "there is no image busybox"
mkdir "$work/ctr" "$work/ctr/run" "$work/ctr/bundle"
c="{\"id\":7,\"name\":\"web\",\"state\":\"created\",\"runFolder\":\"$work/ctr/run\",\"bundle\":\"$work/ctr/bundle\",\"log\":\"$work/ctr/bundle/log\",\"pid\":null,\"config\":{}}"
reply _v1_sys_containers "201 Created" "$c"
reply _v1_sys_container_7_start "404 Not Found" '{"error":{"code":"PROGRAM_NOT_FOUND","message":"there is no program nosuch"}}'
reply _v1_sys_container_7 "200 OK" "$c"
expect 127 "$ctl" container run -d busybox nosuch
has "$err" "there is no program nosuch"
has "$requests" "DELETE /v1/sys/container/7?force=true"
reply _v1_sys_container_7_start "403 Forbidden" '{"error":{"code":"PROGRAM_REFUSED","message":"it is a folder"}}'
expect 126 "$ctl" container run -d busybox /etc
reply _v1_sys_container_7_start "200 OK" "$c"
expect 0 "$ctl" container run -d busybox true
[ "$(cat "$out")" = 7 ] || fail "run -d prints the number"
expect 125 "$ctl" container run --memory x busybox
expect 125 "$ctl" container run -it busybox
has "$err" "-t needs a terminal"
reply _v1_sys_container_web "200 OK" "$c"
expect 125 "$ctl" container exec web true
has "$err" "does not run"
expect 5 "$ctl" container attach web
has "$err" "container start -a web"

# ---- logs ----

cat >"$work/ctr/bundle/log.1" <<'END'
2026-11-20T11:00:00.000000000Z stdout F one
END
cat >"$work/ctr/bundle/log" <<'END'
2026-11-20T12:00:00.000000000Z stdout F two
2026-11-20T12:00:01.000000000Z stderr F wrong
2026-11-20T12:00:02.000000000Z stdout P thr
2026-11-20T12:00:02.500000000Z stdout F ee
END
printf '{"exitCode":0,"signal":0,"oomKilled":false,"started":1,"finished":2,"error":""}' \
	>"$work/ctr/bundle/exit.json"
expect 0 "$ctl" container logs web
[ "$(cat "$out")" = "one
two
three" ] || fail "the lines are others"
[ "$(cat "$err")" = wrong ] || fail "standard error is no standard error"
expect 0 "$ctl" container logs -t --since 2026-11-20T12:00:02Z web
[ "$(cat "$out")" = "2026-11-20T12:00:02.000000000Z three" ] || fail "--since -t"
expect 0 "$ctl" container logs --tail 0 web
[ -s "$out" ] && fail "--tail 0"
expect 0 "$ctl" container logs -n 2 -o json web
[ "$(python3 -c 'import json,sys
print([json.loads(l)["line"] for l in open(sys.argv[1])])' "$out")" = "['wrong', 'thr', 'ee']" ] ||
	[ "$(wc -l <"$out")" = 2 ] || fail "--tail 2"
expect 0 "$ctl" container logs -f web # it has ended
has "$out" three
expect 2 "$ctl" container logs --since yesterday web
expect 2 "$ctl" container logs --tail some web

# ---- images ----

image='{"id":"sha256:0123456789abcdef","names":["busybox:latest","bb:1"],"size":1048576,"created":"2026-11-20T12:00:00Z"}'
reply _v1_sys_images "200 OK" "{\"images\":[$image]}"
expect 0 "$ctl" image ls
has "$out" "busybox:latest  0123456789ab"
has "$out" "bb:1"
has "$out" "1.0MiB"
expect 0 "$ctl" image ls -q
[ "$(cat "$out")" = 0123456789ab ] || fail "image ls -q"
reply _v1_sys_image "200 OK" "$image"
expect 0 "$ctl" image inspect bb:1
has "$requests" "GET /v1/sys/image?name=bb%3A1"
expect 0 "$ctl" image rm bb:1
has "$requests" "DELETE /v1/sys/image?name=bb%3A1"
reply _v1_sys_image_tag "200 OK" "$image"
expect 0 "$ctl" image tag bb:1 bb:2
has "$requests" '{"name":"bb:1","tag":"bb:2"}'
reply _v1_sys_images_prune "200 OK" '{"removed":["a","b"],"freed":5}'
expect 0 "$ctl" image prune
has "$out" "2 images removed, 5B freed"
reply _v1_sys_images_busybox "200 OK" "{\"images\":[$image]}"
expect 0 "$ctl" image create-busybox --name bb:1
has "$requests" '{"name":"bb:1"}'
has "$out" "bb:1"
reply _v1_sys_image_export "200 OK" '{}'
for format in "x.tar docker" "x.oci.tar oci-archive" "ctr oci"; do
	: >"$requests"
	expect 0 "$ctl" image export bb "$work/${format% *}"
	sent "j == {'name': 'bb', 'path': '$(cd "$work" && pwd -P)/${format% *}', 'format': '${format#* }'}"
done
: >"$work/file.tar"
printf 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {"phase":"unpack","done":1,"total":2}\n\ndata: {"images":[%s]}\n\n' \
	"$image" >"$work/replies/_v1_sys_images_import"
: >"$requests"
expect 0 "$ctl" image import "$work/file.tar" --name bb:1
has "$requests" "Accept: text/event-stream"
sent "j['name'] == 'bb:1' and j['path'].endswith('/file.tar')"
[ "$(cat "$out")" = bb:1 ] || fail "import says the name"
[ -s "$err" ] && fail "a bar where nobody looks"
printf 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {"event":"failed","status":"CORRUPT","message":"a digest is wrong"}\n\n' \
	>"$work/replies/_v1_sys_images_import"
expect 1 "$ctl" image import "$work/file.tar"
has "$err" "a digest is wrong"
expect 4 "$ctl" image import "$work/none.tar"
exit 0
