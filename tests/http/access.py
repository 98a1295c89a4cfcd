# SPDX-License-Identifier: MIT
"""Who may ask: users, tokens, pages of others, names that are not ours."""
import ctypes
import encodings.idna  # noqa: F401  while its file can be read: see as_nobody
import json
import os
import re
import signal
import socket
import stat
import time
import traceback

from talk import Gateway, Skip, check, equal, run, stop, test, until

NEW_USER, NEW_PID = 0x10000000, 0x20000000


def as_nobody(act):
    """act() in a process of another user; what it returns, a small number."""
    if os.geteuid():
        raise Skip('only root can become somebody else')
    child = os.fork()
    if not child:
        result = 255
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            result = act()
        except Exception:  # the parent sees the number
            traceback.print_exc()
        finally:
            os._exit(result)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def ask_as_nobody(gateway, request):
    """The status of the answer, less 200."""
    return 200 + as_nobody(lambda: gateway.ask(request.encode()).status - 200)


@test
def another_user_of_this_machine_is_refused_without_the_token():
    with Gateway() as g:
        plain = 'GET /health HTTP/1.1\r\nHost: localhost\r\n%s\r\n'
        equal(ask_as_nobody(g, plain % ''), 403, 'without')
        equal(ask_as_nobody(g, plain % ('X-API-Key: %s\r\n' % g.token())), 200, 'with')
        equal(ask_as_nobody(g, plain % ('Authorization: bearer %s\r\n' % g.token())), 200, 'bearer')
        equal(ask_as_nobody(g, plain % 'X-API-Key: guess\r\n'), 401, 'with a wrong one')
        equal(ask_as_nobody(g, 'POST /v1/sys/log HTTP/1.1\r\nHost: localhost\r\n'
                           'Content-Length: 2\r\n\r\n{}'), 403, 'a write')


@test
def another_user_who_has_closed_already_is_nobody_to_be_trusted():
    # the kernel shows such a socket as root's, and this daemon may be root's
    body = b'{"key":"stolen","value":1}'

    def leave(g):
        for _ in range(300):
            with socket.create_connection(g.address) as s:
                s.sendall(b'PUT /v1/sys/state HTTP/1.1\r\nHost: localhost\r\n'
                          b'Content-Length: %d\r\n\r\n%s' % (len(body), body))
        return 0
    with Gateway() as g:
        pid = g.processes(['cloudosd'])[0]
        for _ in range(3):
            stop(pid)
            try:
                equal(as_nobody(lambda: leave(g)), 0, 'the other user')
            finally:
                os.kill(pid, signal.SIGCONT)
            equal(g.get().status, 200, 'ourselves')
        check(g.get('/v1/sys/state?key=stolen').status in (404, 501), 'it has been written')


@test
def where_the_kernel_cannot_be_asked_its_table_is_read():
    with Gateway('http.diag:1+') as g:
        plain = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'
        for _ in range(3):
            equal(g.get().status, 200, 'ourselves')
            equal(ask_as_nobody(g, plain), 403, 'another user')


def in_own_space(flags, act):
    """act() as the same user, in name spaces of its own; what it returns, a small number."""
    child = os.fork()
    if not child:
        result = 255
        try:
            user, group = os.geteuid(), os.getegid()
            if ctypes.CDLL(None, use_errno=True).unshare(flags):
                os._exit(254)
            if flags & NEW_USER:
                for name, text in (('setgroups', 'deny'), ('uid_map', '%d %d 1' % (user, user)),
                                   ('gid_map', '%d %d 1' % (group, group))):
                    with open('/proc/self/' + name, 'w') as f:
                        f.write(text)
            inner = os.fork()
            if inner:
                result = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1])
            else:
                result = act()
        except Exception:  # the parent sees the number
            traceback.print_exc()
        finally:
            os._exit(result)
    result = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if result == 254:
        raise Skip('name spaces are forbidden here')
    return result


def refused_in(flags):
    plain = 'GET /health HTTP/1.1\r\nHost: localhost\r\n%s\r\n'

    def ask(field=''):
        return 200 + in_own_space(
            flags, lambda: g.ask((plain % field).encode()).status - 200)
    with Gateway() as g:
        equal(ask(), 403, 'without')
        equal(ask('X-API-Key: %s\r\n' % g.token()), 200, 'with the token')
        for _ in range(3):
            equal(g.get().status, 200, 'ourselves')


@test
def a_program_with_our_user_in_another_pid_name_space_is_refused():
    # as a container with this machine's network is, and cloudos-exec --confine --net=host
    refused_in(NEW_USER | NEW_PID)
    if not os.geteuid():
        refused_in(NEW_PID)


@test
def a_program_in_a_user_name_space_alone_is_not_refused():
    # those of services have one
    with Gateway() as g:
        plain = b'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'
        equal(200 + in_own_space(NEW_USER, lambda: g.ask(plain).status - 200), 200, 'status')


@test
def who_hides_his_socket_is_refused_and_holds_up_nobody():
    plain = b'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'

    def hidden():
        """A connection that no process has: on its way in a socket that nobody reads."""
        a, b = socket.socketpair()
        with g.connect() as c:
            c.send(plain)
            socket.send_fds(a, [b'x'], [c.socket.fileno()])
        return a, b
    def refusals(g):
        text = g.get('/metrics', unix=True).body.decode()
        return int(re.search(r'^cloudos_http_refused_total (\d+)', text, re.M).group(1))
    with Gateway() as g:
        before = refusals(g)
        stop(g.processes(['cloudosd'])[0])
        pairs = [hidden() for _ in range(60)]
        os.kill(g.processes(['cloudosd'])[0], signal.SIGCONT)
        begun = time.monotonic()
        equal(g.get().status, 200, 'ourselves')
        check(time.monotonic() - begun < 5, 'it took %.1f s' % (time.monotonic() - begun))
        # until all are answered: taken back earlier they would be ours
        until('their refusal', lambda: refusals(g) >= before + len(pairs))
        for a, b in pairs:
            with a, b, socket.socket(fileno=socket.recv_fds(b, 1, 1)[1][0]) as s:
                s.settimeout(20)
                check(b' 403 ' in s.recv(100), 'a socket of nobody')


@test
def the_token_is_secret_and_stays():
    with Gateway() as g:
        path = os.path.join(g.dir, 'state/http.token')
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, 'the mode of the token')
        equal(stat.S_IMODE(os.stat(os.path.join(g.dir, 'run/http.sock')).st_mode), 0o600,
              'the mode of the socket')
        token = g.token()
        check(len(token) == 64, 'a token of %d bytes' % len(token))
        g.ctl('daemon', 'stop')
        g.start()
        equal(g.token(), token, 'after a restart')
        g.ctl('daemon', 'stop')
        os.chmod(path, 0o644)
        said = g.start(ok=False)
        check(said.returncode and 'http.token' in said.stderr, said.stderr)


@test
def a_token_that_is_always_wanted_is_wanted_of_tcp():
    with Gateway(token='always') as g:
        answer = g.get()
        equal((answer.status, answer.error()), (401, 'UNAUTHORIZED'), 'without')
        equal(g.get('/health', 'Authorization: Bearer ' + g.token()).status, 200, 'with')
        equal(g.get('/health', 'Authorization: Bearer ' + g.token()[:-1]).status, 401, 'short')
        equal(g.get('/health', 'Authorization: Bearer ' + g.token() + 'a').status, 401, 'long')
        equal(g.get('/health', 'Authorization: Bearer').status, 401, 'nothing of it')
        equal(g.get('/health', 'Authorization: Basic abc').status, 401, 'another scheme')
        equal(g.get('/health', 'X-API-Key:').status, 401, 'an empty one')
        equal(g.get(unix=True).status, 200, 'the Unix socket, where the kernel knows')


@test
def beyond_loopback_the_token_is_wanted_of_everybody():
    with Gateway(address='"0.0.0.0"') as g:
        g.address = ('127.0.0.1', g.address[1])
        equal(g.get().status, 401, 'without')
        equal(g.get('/health', 'Host: any.example', 'X-API-Key: ' + g.token()).status, 200,
              'with, under any name')
        check('token' in g.log(), 'the log says nothing')


@test
def a_name_that_is_not_ours_is_refused():
    with Gateway(hosts='"gate.example, other.example"') as g:
        for host in ('localhost', 'LocalHost:80', 'a.localhost', '127.0.0.1', '127.0.0.9:1',
                     '[::1]:9', 'blackroad-os-core.railway.internal:8000',
                     'x.railway.internal', 'core.blackroad.systems', 'gate.example',
                     'Other.Example:8787', 'localhost.'):
            equal(g.get('/health', 'Host: ' + host).status, 200, host)
        for host in ('evil.example', 'localhost.evil.example', 'railway.internal.evil',
                     'xrailway.internal', 'gate.example.evil', 'example', '127.0.0.1.nip.io',
                     'gate.exampl', 'rebind.it:8787'):
            answer = g.get('/health', 'Host: ' + host)
            equal((answer.status, answer.error()), (403, 'FORBIDDEN'), host)
        equal(g.get('/health', 'Host: evil.example', unix=True).status, 200,
              'no browser speaks to a Unix socket')


@test
def a_page_of_somebody_else_can_do_nothing():
    with Gateway() as g:
        own = 'localhost:%d' % g.address[1]
        for origin in ('http://evil.example', 'null', 'http://localhost', 'file://',
                       'http://' + own + '.evil.example', 'chrome-extension://x', ''):
            for method in ('GET', 'PUT', 'POST', 'DELETE'):
                answer = g.get('/v1/sys/state', 'Host: ' + own, 'Origin: ' + origin,
                               'Content-Type: application/json', method=method, body={})
                equal((answer.status, answer.error()), (403, 'FORBIDDEN'), origin + method)


@test
def our_own_page_writes_json_and_nothing_that_a_form_could():
    with Gateway() as g:
        own = 'localhost:%d' % g.address[1]
        page = ('Host: ' + own, 'Origin: http://' + own)
        equal(g.get('/health', *page).status, 200, 'reading')
        for kind in ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'):
            equal(g.get('/v1/sys/nothing', *page, 'Content-Type: ' + kind, method='PUT',
                        body={}).status, 415, kind)
        equal(g.get('/v1/sys/nothing', *page, method='PUT', body={}).status, 415, 'no type')
        equal(g.get('/v1/sys/nothing', *page, 'Content-Type: Application/JSON; charset=utf-8',
                    method='PUT', body={}).status, 404, 'JSON')


@test
def any_type_that_parses_is_taken_from_programs():
    with Gateway() as g:
        for kind in ('text/plain', 'application/x-www-form-urlencoded', 'application/json'):
            equal(g.get('/v1/sys/nothing', 'Content-Type: ' + kind, method='PUT',
                        body={}).status, 404, kind)


@test
def a_daemon_that_is_read_only_refuses_every_change():
    with Gateway(read_only='yes') as g:
        equal(g.get().status, 200, 'reading')
        for method, path in (('POST', '/v1/sys/log'), ('PUT', '/v1/sys/state'),
                             ('POST', '/v1/sys/job/1/cancel')):
            status = g.get(path, method=method, body={}).status
            check(status in (403, 501), '%s: %d' % (path, status))


@test
def a_request_says_for_which_service_it_is():
    with Gateway() as g:
        def service(path='/version', *headers, **more):
            return g.get(path, *headers, **more).json()['service']
        equal(service(), 'cloudosd', 'nothing said')
        equal(service('/version?service=core'), 'blackroad-os-core', 'a word')
        equal(service('/version?service=blackroad%2Dos-core'), 'blackroad-os-core', 'a name')
        equal(service('/version', 'X-Service: operator'), 'blackroad-os-operator', 'a header')
        equal(service('/version', 'Host: blackroad-os-core.railway.internal:8000'),
              'blackroad-os-core', 'a host')
        equal(service('/version', 'Host: mine.railway.internal'), 'mine', 'a host of our own')
        equal(service('/version?service=mine', unix=True), 'mine', 'over the Unix socket')
        equal(g.get('/version?service=a/b').error(), 'INVALID_REQUEST', 'no name')
        equal(g.get('/version?service=' + 'a' * 64).error(), 'INVALID_REQUEST', 'too long')


@test
def where_it_listens_is_told_and_a_taken_port_is_no_hindrance():
    with Gateway() as g, Gateway(port=g.address[1]) as other:
        check(other.address[1] != g.address[1], 'two daemons on one port')
        equal(other.get().status, 200, 'the second one')
        equal(other.told['url'], 'http://127.0.0.1:%d' % other.address[1], 'its URL')
        equal(other.told['unix'], os.path.join(other.dir, 'run/http.sock'), 'its socket')
        before = other.address[1]
        os.kill(other.processes(['cloudosd'])[0], 9)
        with open(os.path.join(other.dir, 'run/http.json')) as f:
            json.load(f)
        other.ctl('daemon', 'status')
        other.get(unix=True)
        with open(os.path.join(other.dir, 'run/http.json')) as f:
            equal(json.load(f)['port'], before, 'the port of the next daemon')
    with Gateway(address='none') as g:
        equal((g.told['tcp'], g.told['url']), (None, None), 'without TCP')
        equal(g.get(unix=True).status, 200, 'the Unix socket')


if __name__ == '__main__':
    run()
