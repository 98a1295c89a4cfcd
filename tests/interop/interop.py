# SPDX-License-Identifier: MIT
"""Programs of two systems that call each other, and what each hears when the other dies.

The programs are those of examples/interop; talk.py is a CloudOS program for the rest.
"""
import http.client
import json
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fault'))
from harness import (BUILD, ENGINES, LIMIT, SRC, Domain, Skip, check, equal, run,  # noqa: E402
                     test, until)
from peers import PAGE, limit  # noqa: E402

ECHO, ASK = (os.path.join(BUILD, 'anos-%s.elf' % n) for n in ('echo', 'ask'))
ASK_ECHO, SHOUT = (os.path.join(BUILD, 'example-' + n) for n in ('ask-echo', 'shout'))
TALK = os.path.join(SRC, 'tests/interop/talk.py')
REQUEST, RESPONSE, NOTIFICATION, ERROR = 1, 2, 3, 4
ENOENT, EBUSY, EFBIG = -2003, -2006, -2010


class World(Domain):
    """A domain with programs of both systems."""

    def __init__(self, engine='trap'):
        if 'trap' not in ENGINES:
            raise Skip('CO_ENGINE asks for another engine than trap, which Anos programs need')
        super().__init__()
        self.engine = engine

    def __enter__(self):
        self.start()
        return self

    def anos(self, program, *arguments):
        return self.guest('trap', *arguments, program=(program,))

    def cloudos(self, program, *arguments):
        return self.guest(self.engine, *arguments, program=(program,))

    def talker(self, service=None):
        talk = self.cloudos(sys.executable, TALK)
        if service:
            equal(talk.ask('register ' + service), '0', 'ipc_register_service')
        return talk

    def echo(self, *arguments):
        server = self.anos(ECHO, *arguments)
        equal(server.line(), 'echo: registered', 'the server of Anos')
        return server

    def shout(self, *arguments):
        server = self.cloudos(SHOUT, *arguments)
        equal(server.line(), 'shout: registered', 'the service of CloudOS')
        return server

    def ask_echo(self, *arguments):
        return ended(self.cloudos(ASK_ECHO, *arguments))

    def ask_by_anos(self, *arguments):
        return ended(self.anos(ASK, *arguments))

    def ports(self):
        return json.loads(self.ctl('channel', 'ls', '-o', 'json').stdout)

    def names(self):
        return [port['name'] for port in self.ports()]

    def id_of(self, name):
        return str(next(port['id'] for port in self.ports() if port['name'] == name))


def ended(guest):
    """Exit status, output and errors of a program that ends by itself."""
    out, err = guest.process.communicate(timeout=LIMIT)
    return guest.process.returncode, (guest.buffer + out).decode(), err.decode()


def echoed(text):
    return 0, 'ask-echo: sent\nask-echo: answer %d: %s\n' % (len(text) + 2, text), ''


def shouted(text):
    return 0, 'ask: answer: %s\n' % text.upper(), ''


def head_of(answer):
    """Type, id, sender and size of what talk.py has received."""
    return tuple(int(word) for word in answer.split(' ')[:4])


# ---- a CloudOS program asks a server of Anos ----

@test
def a_cloudos_program_asks_a_server_of_anos_by_name():
    for engine in ENGINES:
        with World(engine) as w:
            server = w.echo()
            for text in ('hello', 'x' * (PAGE - 1)):
                equal(w.ask_echo('echo', text), echoed(text), 'the answer, ' + engine)
                equal(server.line(), 'echo: asked: ' + text, 'what the server sees')


@test
def a_program_of_anos_asks_a_server_of_anos_by_name():
    with World() as w:
        server = w.echo()
        equal(w.ask_by_anos(), (0, 'ask: answer: hello from Anos\n', ''), 'the answer')
        equal(server.line(), 'echo: asked: hello from Anos', 'what the server sees')


@test
def a_request_without_data_is_a_message_without_a_page():
    with World() as w:
        server, talk = w.echo(), w.talker()
        port = int(talk.ask('discover echo'))
        equal(talk.ask('send %d 77 %d ' % (port, REQUEST)), '0', 'ipc_send')
        equal(talk.ask('receive'), '%d 77 %d 8 \\x01' % (RESPONSE, port), 'the value alone')
        equal(server.line(), 'echo: asked: nothing', 'what the server sees')


@test
def a_notification_to_a_port_is_not_answered():
    with World() as w:
        server, talk = w.echo(), w.talker()
        port = int(talk.ask('discover echo'))
        equal(talk.ask('send %d 1 %d by the way' % (port, NOTIFICATION)), '0', 'ipc_send')
        equal(server.line(), 'echo: asked: by the way', 'what the server sees')
        equal(talk.ask('send %d 2 %d now' % (port, REQUEST)), '0', 'ipc_send')
        equal(head_of(talk.ask('receive')), (RESPONSE, 2, port, 8 + PAGE), 'the only answer')


@test
def a_name_that_nobody_has_is_not_found_on_either_side():
    with World() as w:
        equal(w.ask_echo('nobody')[::2],
              (1, 'ask-echo: nobody: no service named "nobody" is registered\n'), 'ask-echo')
        equal(w.ask_by_anos('nobody')[:2], (0, 'ask: nobody has that name\n'), 'ask')


@test
def a_number_is_no_authority_over_a_port_whose_name_one_does_not_see():
    with World() as w:
        w.echo()
        talk = w.talker()
        port = int(talk.ask('discover echo'))
        check(port >> 29 == 5, 'the number %#x is not one of a port' % port)
        equal(int(talk.ask('discover SYSTEM::VFS')), ENOENT, 'the name of another session')
        equal(int(talk.ask('send %d 1 %d hello' % (port ^ 1, REQUEST))), ENOENT,
              'a number of nothing')
        equal(int(talk.ask('send %d 1 %d *%d' % (port, REQUEST, PAGE + 1))), EFBIG,
              'more than a page')


@test
def who_asks_a_server_that_is_killed_hears_of_it():
    for engine in ENGINES:
        with World(engine) as w:
            server, asker = w.echo(), w.cloudos(ASK_ECHO, 'echo', 'hold it')
            equal(server.line(), 'echo: asked: hold it', 'what the server sees')
            server.kill()
            status, _, said = ended(asker)
            equal(status, 1, 'the asker')
            check('has ended without answering request 1' in said, said)
            until('the end of the name', lambda: 'echo' not in w.names())
            w.echo()
            equal(w.ask_echo('echo', 'again'), echoed('again'), 'the next server')


@test
def a_server_outlives_who_asks_it():
    with World() as w:
        server, asker = w.echo(), w.cloudos(ASK_ECHO, 'echo', 'hold it')
        equal(server.line(), 'echo: asked: hold it', 'what the server sees')
        asker.kill()
        equal(w.ask_echo('echo', 'next'), echoed('next'), 'the next asker')


@test
def a_silent_server_costs_its_askers_a_quota_and_others_nothing():
    with World() as w:
        silent, quick, talk = w.echo('silent'), w.echo('quick'), w.talker()
        port, most = int(talk.ask('discover silent')), limit('BRIDGE_SENDER_CALLS')
        for i in range(most):
            equal(talk.ask('send %d %d %d hold %d' % (port, i, REQUEST, i)), '0', 'ipc_send')
        equal(int(talk.ask('send %d 0 %d hold more' % (port, REQUEST))), EBUSY, 'one more')
        for i in range(most):
            equal(silent.line(), 'echo: asked: hold %d' % i, 'in order')
        other = w.talker()
        equal(other.ask('discover silent'), str(port), 'the number, for everybody')
        equal(other.ask('send %d 9 %d and I' % (port, REQUEST)), '0', 'another asker')
        equal(w.ask_echo('quick', 'hello'), echoed('hello'), 'the other server')
        equal(quick.line(), 'echo: asked: hello', 'which was asked')
        silent.kill()
        for i in range(most):
            equal(head_of(talk.ask('receive'))[:3], (ERROR, i, port), 'the end')


# ---- a program of Anos asks a CloudOS service ----

@test
def a_program_of_anos_asks_a_cloudos_service_by_name():
    for engine in ENGINES:
        with World(engine) as w:
            service = w.shout()
            for text in ('hello', 'more of it'):
                equal(w.ask_by_anos('shout', text), shouted(text), 'the answer, ' + engine)
                line = service.line()
                check(line.startswith('shout: asked by ') and
                      line.endswith(', request 7: ' + text), repr(line))
                check('by 0,' not in line, 'the sender is not told: ' + line)


@test
def an_answer_that_is_an_error_or_too_long_is_a_failure_with_its_text_in_the_page():
    with World() as w:
        talk = w.talker('clerk')
        for kind, text, seen in ((ERROR, 'come back tomorrow', 'come back tomorrow'),
                                 (RESPONSE, '*%d' % (PAGE + 1), 'the answer is longer than a '
                                                                'page')):
            asker = w.anos(ASK, 'clerk', 'please')
            got, ident, pid, size = head_of(talk.ask('receive'))
            equal((got, ident, size), (REQUEST, 7, len('please') + 1), 'the request')
            equal(talk.ask('reply %d 7 %d %s' % (pid, kind, text)), '0', 'ipc_reply')
            equal(ended(asker)[1], 'ask: failed: %s\n' % seen, 'the asker')


@test
def who_asks_a_service_that_is_killed_fails():
    for engine in ENGINES:
        with World(engine) as w:
            service, asker = w.shout(), w.anos(ASK, 'shout', 'hold it')
            check(service.line().endswith('hold it'), 'it is asked')
            service.kill()
            said = ended(asker)[1]
            check(said.startswith('ask: failed: ') and
                  'has ended without answering request 7' in said, said)
            until('the end of the port', lambda: 'shout' not in w.names())
            w.shout()
            equal(w.ask_by_anos('shout', 'again'), shouted('again'), 'the next service')


@test
def a_service_outlives_who_asks_it_and_may_not_answer_it_any_more():
    with World() as w:
        talk = w.talker('clerk')
        asker = w.anos(ASK, 'clerk', 'please')
        _, _, pid, _ = head_of(talk.ask('receive'))
        asker.kill()
        until('the end of the asker',
              lambda: int(talk.ask('reply %d 7 %d late' % (pid, RESPONSE))) == ENOENT)
        asker = w.anos(ASK, 'clerk', 'next')
        _, _, pid, _ = head_of(talk.ask('receive'))
        equal(talk.ask('reply %d 7 %d at once' % (pid, RESPONSE)), '0', 'ipc_reply')
        equal(ended(asker)[:2], (0, 'ask: answer: at once\n'), 'the next asker')


@test
def a_program_of_anos_that_takes_the_name_is_found_instead():
    with World() as w:
        w.shout()
        equal(w.ask_by_anos('shout', 'first'), shouted('first'), 'the service')
        w.echo('shout')
        equal(w.ask_by_anos('shout', 'then'), (0, 'ask: answer: then\n', ''), 'the server')


@test
def channels_that_are_revoked_are_found_no_more_and_a_service_gets_another():
    with World() as w:
        server, talk = w.echo(), w.talker()
        port = int(talk.ask('discover echo'))
        equal(talk.ask('send %d 1 %d hold it' % (port, REQUEST)), '0', 'ipc_send')
        equal(server.line(), 'echo: asked: hold it', 'what the server sees')
        w.ctl('channel', 'kill', w.id_of('echo'))
        equal(int(talk.ask('discover echo')), ENOENT, 'the name')
        equal(int(talk.ask('send %d 2 %d hello' % (port, REQUEST))), ENOENT, 'the number')
        server.kill()
        equal(head_of(talk.ask('receive'))[:3], (ERROR, 1, port), 'what was received')
        w.shout()
        equal(w.ask_by_anos('shout', 'one'), shouted('one'), 'the service')
        w.ctl('channel', 'kill', w.id_of('shout'))
        equal(w.ask_by_anos('shout', 'two'), shouted('two'), 'the service, by another channel')


# ---- the daemon ----

@test
def askers_on_both_sides_hear_that_the_daemon_was_killed():
    with World() as w:
        server, service = w.echo(), w.shout()
        one, other = w.cloudos(ASK_ECHO, 'echo', 'hold it'), w.anos(ASK, 'shout', 'hold it')
        equal(server.line(), 'echo: asked: hold it', 'what the server sees')
        check(service.line().endswith('hold it'), 'what the service sees')
        w.kill_daemon()
        status, _, said = ended(one)
        equal(status, 1, 'the CloudOS program')
        check('was restarted while' in said, said)
        said = ended(other)[1]
        check(said.startswith('ask: failed: '), said)
        # the server registers with the next daemon by itself, and the service is known
        until('the name', lambda: 'echo' in w.names())
        equal(w.ask_echo('echo', 'again'), echoed('again'), 'the server')
        equal(w.ask_by_anos('shout', 'again'), shouted('again'), 'the service')


# ---- RPC over HTTP and programs with messages ----

class Unix(http.client.HTTPConnection):
    def __init__(self, w):
        super().__init__('localhost', timeout=LIMIT)
        self.path = os.path.join(w.dir, 'run/http.sock')

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT)
        self.sock.connect(self.path)


def ask_http(w, method, path, body=None):
    c = Unix(w)
    c.request(method, path, None if body is None else json.dumps(body))
    r = c.getresponse()
    out = r.status, json.loads(r.read())
    c.close()
    return out


def rpc(w, method, params=None, **more):
    return ask_http(w, 'POST', '/v1/sys/rpc', dict(more, method=method, params=params))


def own(talk, name, body):
    """What one of cloudosd's own services answers to a CloudOS program."""
    number = int(talk.ask('discover ' + name))
    check(number > 0xbfffff00 - 1, 'the number of %s: %d' % (name, number))
    equal(talk.ask('send %d 3 %d %s' % (number, REQUEST, json.dumps(body))), '0', 'ipc_send')
    kind, ident, sender, _, text = talk.ask('receive').split(' ', 4)
    equal((int(kind), int(ident), int(sender)), (RESPONSE, 3, number), 'the answer of ' + name)
    return json.loads(text.encode().decode('unicode_escape').encode('latin-1'))


@test
def a_method_of_rpc_may_be_a_server_of_anos():
    with World() as w:
        server = w.echo()
        equal(rpc(w, 'echo', {'id': 9007199254740993}),
              (200, {'result': {'id': 9007199254740993}}), 'JSON comes back as it is')
        equal(server.line(), 'echo: asked: {"id": 9007199254740993}', 'what the server sees')
        equal(rpc(w, 'nobody')[0], 404, 'a name that nobody has')
        listed = {m['name']: m['kind'] for m in ask_http(w, 'GET', '/v1/sys/methods')[1]['methods']}
        equal((listed.get('echo'), listed.get('sys.ping')), ('port', 'builtin'), 'the listing')
        status, reply = rpc(w, 'echo', 'x' * 5000)
        equal((status, reply['error']['code']), (413, 'TOO_LARGE'), 'more than a page')
        server.kill()
        until('the end of its name', lambda: rpc(w, 'echo')[0] == 404)


@test
def a_method_of_rpc_may_be_a_service_of_cloudos():
    for engine in ENGINES:
        with World(engine) as w:
            server = w.shout()
            equal(rpc(w, 'shout', {'name': 'ada'}), (200, {'result': {'NAME': 'ADA'}}),
                  'JSON, ' + engine)
            equal(rpc(w, 'shout', 'x' * 4000), (200, {'result': 'X' * 4000}), 'much')
            equal(rpc(w, 'shout', True), (200, {'result': {'text': 'TRUE'}}), 'what is no JSON')
            check(server.line().startswith('shout: asked by'), 'what the service sees')
            equal(rpc(w, 'sys.methods')[1]['result'],
                  ['sys.echo', 'sys.methods', 'sys.ping', 'shout'], 'the listing')


@test
def a_service_that_holds_a_call_and_dies_is_told_apart_from_one_that_is_slow():
    with World('notify' if 'notify' in ENGINES else 'trap') as w:
        talk = w.talker('keeper')
        status, reply = rpc(w, 'keeper', {'a': 1}, timeout=200)
        equal((status, reply['error']['code']), (500, 'TIMEOUT'), 'nobody receives')
        later = []
        t = threading.Thread(target=lambda: later.append(rpc(w, 'keeper', {'b': 2}, timeout=200000)))
        t.start()
        for part in ('{"a": 1}', '{"b": 2}'):
            check(part in talk.ask('receive').replace('\\', ''), 'the request ' + part)
        talk.kill()
        t.join(LIMIT)
        equal((later[0][0], later[0][1]['error']['code']), (500, 'HANDLER_CRASHED'), 'its death')


@test
def a_late_answer_of_a_service_is_nobodys():
    with World('notify' if 'notify' in ENGINES else 'trap') as w:
        talk = w.talker('keeper')
        equal(rpc(w, 'keeper', 1, timeout=100)[1]['error']['code'], 'TIMEOUT', 'the first')
        _, ident, sender, _, _ = talk.ask('receive').split(' ', 4)
        equal(talk.ask('reply %s %s %d "late"' % (sender, ident, RESPONSE)), '0', 'ipc_reply')
        later = []
        t = threading.Thread(target=lambda: later.append(rpc(w, 'keeper', 2, timeout=200000)))
        t.start()
        _, ident, sender, _, text = talk.ask('receive').split(' ', 4)
        equal(text, '2', 'the second request')
        equal(talk.ask('reply %s %s %d "in time"' % (sender, ident, RESPONSE)), '0', 'ipc_reply')
        t.join(LIMIT)
        equal(later, [(200, {'result': 'in time'})], 'the second')


@test
def a_cloudos_program_calls_the_endpoints_as_services():
    for engine in ENGINES:
        with World(engine) as w:
            talk = w.talker()
            equal(own(talk, 'rpc', {'method': 'sys.echo', 'params': [1, {'a': None}]}),
                  {'result': [1, {'a': None}]}, 'rpc, ' + engine)
            equal(own(talk, 'rpc', {'method': 'nobody'})['error']['code'], 'METHOD_NOT_FOUND',
                  'an error')
            equal(own(talk, 'rpc', [])['error']['code'], 'INVALID_REQUEST', 'no request')
            over_http = ask_http(w, 'POST', '/v1/sys/job', {'name': 'nobody'})
            equal((over_http[0], own(talk, 'job', {'name': 'nobody'})), over_http, 'job')
            equal(talk.ask('discover nobody'), str(ENOENT), 'no other name')


@test
def what_a_cloudos_program_tells_the_endpoints_is_seen_over_http():
    with World('notify' if 'notify' in ENGINES else 'trap') as w:
        talk = w.talker()
        check('id' in own(talk, 'event', {'event': 'user:created', 'data': {'userId': 1}}), 'event')
        said = own(talk, 'log', {'level': 'warn', 'message': 'from a message', 'service': 'core'})
        logs = ask_http(w, 'GET', '/v1/sys/logs?level=warn&service=core')[1]['logs']
        equal([(e['id'], e['message']) for e in logs], [(said['id'], 'from a message')], 'log')
        own(talk, 'metric', {'name': 'cpu', 'value': 75})
        metrics = ask_http(w, 'GET', '/v1/sys/metrics?name=cpu')[1]['metrics']
        equal([m['value'] for m in metrics], [75], 'metric')
        named = w.talker('shop')
        own(named, 'log', {'level': 'error', 'message': 'sold out'})
        logs = ask_http(w, 'GET', '/v1/sys/logs?level=error')[1]['logs']
        equal([e['service'] for e in logs], ['shop'], 'a service is called by its name')
        equal(own(talk, 'log', {'level': 'loud', 'message': 'x'})['error']['code'],
              'INVALID_REQUEST', 'what the endpoint refuses')


@test
def state_is_set_asked_and_deleted_by_messages():
    with World('notify' if 'notify' in ENGINES else 'trap') as w:
        talk = w.talker()
        equal(own(talk, 'state', {'key': 'a b&c', 'value': 42})['version'], 1, 'set')
        equal(ask_http(w, 'GET', '/v1/sys/state?key=a%20b%26c')[1]['value'], 42, 'over HTTP')
        equal(own(talk, 'state', {'key': 'a b&c'})['value'], 42, 'asked')
        equal(own(talk, 'state', {'key': 'a b&c', 'value': 43, 'expectedVersion': 7})['error']['code'],
              'VERSION_CONFLICT', 'a conflict')
        equal(len(own(talk, 'state', {})['state']), 1, 'all of it')
        own(talk, 'state', {'key': 'a b&c', 'delete': True})
        equal(ask_http(w, 'GET', '/v1/sys/state?key=a%20b%26c')[0], 404, 'deleted')


@test
def a_program_of_anos_calls_the_endpoints_as_services():
    with World() as w:
        equal(w.ask_by_anos('rpc', '{"method":"sys.echo","params":[7]}'),
              (0, 'ask: answer: {"result":[7]}\n', ''), 'rpc')
        code, out, _ = w.ask_by_anos('rpc', '{')
        check(code == 0 and 'INVALID' in out, 'what is no JSON: ' + out)


@test
def a_service_of_that_name_takes_the_place_of_ours():
    with World('notify' if 'notify' in ENGINES else 'trap') as w:
        mine, talk = w.talker('event'), w.talker()
        check(0 < int(talk.ask('discover event')) < 1 << 31, 'the pid of the service')
        check(int(talk.ask('discover log')) > 1 << 31, 'another is ours')


@test
def a_message_to_the_daemon_itself_is_answered_with_what_to_do():
    with World('notify' if 'notify' in ENGINES else 'trap') as w:
        talk = w.talker()
        equal(own(talk, 'rpc', {'method': 'sys.echo', 'params': 1}), {'result': 1}, 'it receives')
        daemon = w.status()['pid']
        equal(talk.ask('send %d 4 %d hello' % (daemon, REQUEST)), '0', 'ipc_send')
        check('NOT_FOUND' in talk.ask('receive'), 'the answer')


@test
def a_daemon_that_dies_fails_calls_of_its_services_and_the_next_one_serves():
    with World('notify' if 'notify' in ENGINES else 'trap') as w:
        talk, server = w.talker(), w.talker('keeper')
        number = int(talk.ask('discover rpc'))
        equal(talk.ask('send %d 5 %d {"method":"keeper","timeout":200000}' % (number, REQUEST)), '0',
              'ipc_send')
        check('null' in server.ask('receive'), 'the request')
        w.kill_daemon()
        equal(head_of(talk.ask('receive'))[:2], (ERROR, 5), 'what it hears')
        equal(own(talk, 'rpc', {'method': 'sys.echo', 'params': 2}), {'result': 2}, 'the next')

run()
