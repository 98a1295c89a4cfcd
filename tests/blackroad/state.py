# SPDX-License-Identifier: MIT
"""The state endpoints as HTTP clients see them: the contract, both kinds of conditions,
lists, expiry, transactions; a daemon that is killed, and a disk that is full."""
import contextlib
import ctypes
import http.client
import json
import os
import random
import re
import resource
import socket
import subprocess
import sys
import threading
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fault'))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../http'))
from harness import Skip, check, equal, run, test, until  # noqa: E402
from unix import Connection, Unix  # noqa: E402

STATE = '/v1/sys/state'
TIME = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$')
KEYS = int(os.environ.get('CO_STATE_KEYS', '20000'))


class Gateway(Unix):
    def put(self, key, value, status=200, headers=None, **more):
        got, entry = self.json('PUT', STATE, dict({'key': key, 'value': value}, **more),
                              **headers or {})
        equal(got, status, 'PUT %s: %r' % (key, entry))
        return entry

    def get(self, key, status=200, **headers):
        got, entry = self.json('GET', target(key=key), **headers)
        equal(got, status, 'GET %s: %r' % (key, entry))
        return entry

    def delete(self, key, status=200, **headers):
        got, entry = self.json('DELETE', target(key=key), **headers)
        equal(got, status, 'DELETE %s: %r' % (key, entry))
        return entry

    def list(self, **query):
        status, answer = self.json('GET', target(**query))
        equal(status, 200, 'list %r' % query)
        return answer

    def tx(self, ops, status=200):
        got, answer = self.json('POST', STATE + '/tx', {'ops': ops})
        equal(got, status, 'tx %r: %r' % (ops, answer))
        return answer


def target(**query):
    return STATE + '?' + urllib.parse.urlencode(query)


def refused(answer, status, code, words=''):
    equal(answer[0], status, 'status of %r' % (answer,))
    error = answer[1]['error']
    equal(error['code'], code, 'code of %r' % (answer,))
    check(words in error['message'], '%r lacks %r' % (error['message'], words))


# ---- the contract ----

@test
def a_put_answers_the_entry_and_a_get_the_same():
    with Gateway() as g:
        entry = g.put('user:count', 42)
        equal(sorted(entry), ['key', 'updatedAt', 'value', 'version'], 'members')
        equal((entry['key'], entry['value'], entry['version']), ('user:count', 42, 1), 'entry')
        check(TIME.match(entry['updatedAt']), entry['updatedAt'])
        status, headers, text = g.raw('GET', target(key='user:count'))
        equal((status, json.loads(text)), (200, entry), 'GET')
        equal(headers['Content-Type'], 'application/json', 'type')
        equal(headers['ETag'], '"1"', 'tag')
        equal(g.put('user:count', 43)['version'], 2, 'the next version')
        status, headers, text = g.raw('HEAD', target(key='user:count'))
        equal((status, headers['ETag'], text), (200, '"2"', ''), 'HEAD')


@test
def values_come_back_byte_by_byte_also_from_the_next_daemon():
    values = ['9007199254740993', '1e400', '0.1', '123456789012345678901234567890', 'null',
              '"\\ud800"', '"\\u0000"', '{"b": 1,  "a":2, "b":3}', '[ ]', '-0.0', '1E+2',
              '"\U0001f600\\/"', '[' * 60 + ']' * 60]
    with Gateway() as g:
        for i, value in enumerate(values):
            status, _, text = g.raw('PUT', STATE, '{"value":%s,"key":"k%02d"}' % (value, i))
            equal(status, 200, value)
            check('"value":%s,' % value in text, '%s is %s' % (value, text))
        for again in range(2):
            for i, value in enumerate(values):
                text = g.raw('GET', target(key='k%02d' % i))[2]
                check('"value":%s,' % value in text, '%s is %s' % (value, text))
            text = g.raw('GET', STATE)[2]
            for value in values:
                check('"value":%s,' % value in text, '%s is not in the list' % value)
            g.connection.close()
            g.kill_daemon()
            g.client().close()


@test
def the_last_of_equal_members_counts():
    with Gateway() as g:
        status, _, text = g.raw('PUT', STATE, '{"key":"x","key":"k","value":1,"value":2}')
        equal(status, 200, text)
        equal(g.get('k')['value'], 2, 'value')
        g.get('x', 404)


@test
def what_is_no_put_is_400_and_changes_nothing():
    bodies = ['', '{', '1', '[]', '"x"', 'null', '{}', '{"key":"k"}', '{"value":1}',
              '{"key":1,"value":1}', '{"key":null,"value":1}', '{"key":"","value":1}',
              '{"key":"a\\u0000","value":1}', '{"key":"\\ud800","value":1}',
              '{"key":"k","value":}', '{"key":"k","value":01}', '{"key":"k","value":NaN}',
              '{"key":"k","value":1,"expectedVersion":"1"}',
              '{"key":"k","value":1,"expectedVersion":1.5}',
              '{"key":"k","value":1,"expectedVersion":-1}',
              '{"key":"k","value":1,"expectedVersion":true}',
              '{"key":"k","value":1,"ttl":-1}', '{"key":"k","value":1,"ttl":"60"}',
              '{"key":"k","value":1,"ttl":1e300}', '{"key":"%s","value":1}' % ('k' * 513),
              b'{"key":"k\xff","value":1}', b'{"key":"k","value":"\xc0\x80"}',
              '{"key":"k","value":%s}' % ('[' * 100 + ']' * 100)]
    with Gateway() as g:
        for body in bodies:
            refused(g.json('PUT', STATE, body), 400, 'INVALID_REQUEST')
        for query in ('key=%ff', 'key=%00', 'key=' + 'k' * 513, 'limit=0', 'limit=x',
                      'limit=-1', 'prefix=%ff', 'after=%c0%80'):
            equal(g.raw('GET', STATE + '?' + query)[0], 400, query)
        refused(g.json('DELETE', STATE), 400, 'INVALID_REQUEST', 'key')
        equal(g.list(), {'state': []}, 'state')


@test
def any_content_type_will_do():
    with Gateway() as g:
        for i, kind in enumerate(('text/plain', 'application/x-www-form-urlencoded', 'x/y')):
            equal(g.put('k', i, headers={'Content-Type': kind})['value'], i, kind)


@test
def a_key_that_is_not_there_is_404():
    with Gateway() as g:
        refused(g.json('GET', target(key='none')), 404, 'NOT_FOUND', 'Key not found')
        refused(g.json('DELETE', target(key='none')), 404, 'NOT_FOUND', 'Key not found')
        equal(g.raw('HEAD', target(key='none'))[0], 404, 'HEAD')


@test
def a_value_of_a_mebibyte_fits_and_more_is_413():
    with Gateway() as g:
        room = (1 << 20) - len('{"key":"k","value":""}')
        body = '{"key":"k","value":"%s"}' % ('x' * room)
        equal(g.raw('PUT', STATE, body)[0], 200, 'a body of 1 MiB')
        equal(g.get('k')['value'], 'x' * room, 'its value')
        equal(len(g.list()['state'][0]['value']), room, 'in a list')
        with contextlib.suppress(OSError):
            refused(g.json('PUT', STATE, body + ' '), 413, 'BODY_TOO_LARGE')
        equal(g.get('k')['version'], 1, 'version')


@test
def methods_that_are_none_are_405():
    with Gateway() as g:
        status, headers, text = g.raw('POST', STATE, '{}')
        equal((status, json.loads(text)['error']['code']), (405, 'METHOD_NOT_ALLOWED'), 'POST')
        equal(headers['Allow'], 'GET, HEAD, PUT, DELETE', 'Allow')


# ---- conditions ----

@test
def an_expected_version_counts_only_where_there_is_a_key():
    with Gateway() as g:
        equal(g.put('k', 1, expectedVersion=7)['version'], 1, 'a missing key')
        answer = g.json('PUT', STATE, {'key': 'k', 'value': 2, 'expectedVersion': 7})
        refused(answer, 409, 'VERSION_CONFLICT',
                "Version conflict for key 'k': expected 7, got 1")
        equal(answer[1]['error']['details'], {'version': 1}, 'details')
        refused(g.json('PUT', STATE, {'key': 'k', 'value': 2, 'expectedVersion': 0}), 409,
                'VERSION_CONFLICT', 'expected 0, got 1')
        equal(g.put('k', 2, expectedVersion=1)['version'], 2, 'the right one')
        equal(g.put('k', 3, expectedVersion=None)['version'], 3, 'null is absent')
        equal(g.put('new', 1, expectedVersion=0)['version'], 1, 'create only')
        equal(g.raw('PUT', STATE, '{"key":"k","value":4,"expectedVersion":3.0}')[0], 200,
              'a whole number in another form')


@test
def headers_are_exact_and_answer_412():
    with Gateway() as g:
        refused(g.json('PUT', STATE, {'key': 'k', 'value': 1}, If_Match='"1"'), 412,
                'PRECONDITION_FAILED')
        refused(g.json('PUT', STATE, {'key': 'k', 'value': 1}, If_Match='*'), 412,
                'PRECONDITION_FAILED', 'does not exist')
        g.put('k', 1, headers={'If-None-Match': '*'})
        refused(g.json('PUT', STATE, {'key': 'k', 'value': 1}, If_None_Match='*'), 412,
                'PRECONDITION_FAILED', 'exists, with version 1')
        equal(g.put('k', 2, headers={'If-Match': '"1"'})['version'], 2, 'If-Match')
        for tag in ('"1"', 'W/"2"', '2', '"02"', '"x"', '""', '"18446744073709551618"'):
            refused(g.json('PUT', STATE, {'key': 'k', 'value': 1}, If_Match=tag), 412,
                    'PRECONDITION_FAILED')
        for headers in ({'If_Match': '"2", "3"'}, {'If_None_Match': '"1"'},
                        {'If_Match': '*', 'If_None_Match': '*'}):
            refused(g.json('PUT', STATE, {'key': 'k', 'value': 1}, **headers), 400,
                    'INVALID_REQUEST')
        refused(g.json('DELETE', target(key='k'), If_Match='"1"'), 412, 'PRECONDITION_FAILED')
        equal(g.get('k')['version'], 2, 'nothing of that has changed it')
        equal(g.delete('k', If_Match='"2"'),
              {'key': 'k', 'deleted': True, 'version': 2}, 'DELETE')
        equal(g.put('k', 1)['version'], 1, 'a new life')


@test
def both_kinds_of_conditions_must_hold():
    with Gateway() as g:
        g.put('k', 1)
        refused(g.json('PUT', STATE, {'key': 'k', 'value': 1, 'expectedVersion': 1},
                      If_Match='"9"'), 412, 'PRECONDITION_FAILED')
        refused(g.json('PUT', STATE, {'key': 'k', 'value': 1, 'expectedVersion': 9},
                      If_Match='"1"'), 409, 'VERSION_CONFLICT')
        equal(g.put('k', 1, headers={'If-Match': '"1"'}, expectedVersion=1)['version'], 2, '')


@test
def a_get_that_knows_the_version_is_304():
    with Gateway() as g:
        g.put('k', 1)
        status, headers, text = g.raw('GET', target(key='k'), If_None_Match='"1"')
        equal((status, text, headers['ETag']), (304, '', '"1"'), 'known')
        equal(g.raw('GET', target(key='k'), If_None_Match='"2"')[0], 200, 'unknown')


@test
def of_many_that_swap_at_once_one_wins_each_version():
    with Gateway() as g:
        g.put('k', 0)
        won = []

        def swap():
            c = Connection(g.dir)
            for version in range(1, 41):
                body = json.dumps({'key': 'k', 'value': 0, 'expectedVersion': version})
                c.request('PUT', STATE, body=body)
                answer = c.getresponse()
                answer.read()
                if answer.status == 200:
                    won.append(version)
            c.close()
        threads = [threading.Thread(target=swap, daemon=True) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        equal(len(won), len(set(won)), 'winners of a version')
        equal(g.get('k')['version'], 1 + len(won), 'the version in the end')


# ---- whose it is ----

@test
def each_service_has_state_of_its_own():
    with Gateway() as g:
        g.put('k', 'daemon')
        equal(g.list(service='core')['state'], [], 'of core')
        body = json.dumps({'key': 'k', 'value': 'core'})
        equal(g.raw('PUT', STATE + '?service=core', body)[0], 200, 'PUT to core')
        equal(g.get('k')['value'], 'daemon', 'its own')
        equal(g.json('GET', target(key='k', service='core'))[1]['value'], 'core', "core's")
        equal(g.json('GET', target(key='k', service='blackroad-os-core'))[1]['value'], 'core',
              'by its full name')
        equal(g.raw('DELETE', target(key='k', service='core'))[0], 200, 'DELETE')
        equal(g.get('k')['value'], 'daemon', 'still')


# ---- lists ----

@test
def lists_are_sorted_paged_and_by_prefix():
    with Gateway() as g:
        keys = ['a', 'a/1', 'a/2', 'a/10', 'b', 'B', 'ü', 'ab', 'a/%', 'a b&c']
        for k in random.sample(keys, len(keys)):
            g.put(k, k)
        equal([e['key'] for e in g.list()['state']], sorted(keys, key=str.encode), 'all')
        some = sorted((k for k in keys if k.startswith('a/')), key=str.encode)
        answer = g.list(prefix='a/')
        equal([e['key'] for e in answer['state']], some, 'a prefix')
        check('next' not in answer, 'a whole list has a next one')
        got, after = [], {}
        while True:
            answer = g.list(prefix='a/', limit=3, **after)
            check(len(answer['state']) <= 3, 'a page is too long')
            got += [e['key'] for e in answer['state']]
            if 'next' not in answer:
                break
            equal(answer['next'], got[-1], 'next')
            after = {'after': answer['next']}
        equal(got, some, 'pages')
        equal([e['key'] for e in g.list(after='b')['state']], ['ü'], 'after')
        equal(g.list(prefix='none'), {'state': []}, 'nothing')


def fill(g, n, size=20):
    """Keys k000000.. in transactions, beside each other."""
    c = Connection(g.dir)
    for first in range(0, n, 100):
        ops = [{'op': 'put', 'key': 'k%06d' % i, 'value': 'v' * size}
               for i in range(first, min(first + 100, n))]
        c.request('POST', STATE + '/tx', body=json.dumps({'ops': ops}))
        answer = c.getresponse()
        answer.read()
        equal(answer.status, 200, 'filling')
    c.close()


@test
def a_large_state_is_listed_whole_and_a_reader_that_stops_holds_nobody_up():
    with Gateway() as g:
        fill(g, KEYS)
        idle = Connection(g.dir)  # asks and does not read
        idle.request('GET', STATE)
        status, headers, text = g.raw('GET', STATE)
        equal((status, headers['Content-Type']), (200, 'application/json'), 'list')
        equal([e['key'] for e in json.loads(text)['state']],
              ['k%06d' % i for i in range(KEYS)], 'keys')
        answer = g.list(limit=KEYS - 1)
        equal((len(answer['state']), answer['next']), (KEYS - 1, 'k%06d' % (KEYS - 2)), 'next')
        equal(g.raw('HEAD', STATE)[0], 200, 'HEAD')
        gone = Connection(g.dir)
        gone.request('GET', STATE)
        gone.close()
        g.put('k000000', 'changed')
        text = idle.getresponse().read()
        equal(len(json.loads(text)['state']), KEYS, 'for who reads late')
        idle.close()


# ---- expiry ----

@test
def a_key_expires_and_is_not_served_again():
    with Gateway() as g:
        entry = g.put('k', 1, ttl=1)
        check(TIME.match(entry['expiresAt']), entry)
        equal(g.put('k', 2)['expiresAt'], entry['expiresAt'], 'a put without ttl')
        equal('expiresAt' in g.put('l', 1, ttl=60), True, 'l')
        equal('expiresAt' in g.put('l', 2, ttl=0), False, 'cleared')
        equal('expiresAt' in g.put('m', 2, ttl=None), False, 'null is absent')
        until('the end of k', lambda: g.raw('GET', target(key='k'))[0] == 404)
        equal([e['key'] for e in g.list()['state']], ['l', 'm'], 'list')
        equal(g.put('k', 3, expectedVersion=0)['version'], 1, 'a new life')


@test
def expiry_goes_on_while_no_daemon_runs():
    with Gateway() as g:
        g.put('k', 1, ttl=1)
        g.put('l', 1, ttl=1000)
        g.connection.close()
        g.kill_daemon()
        g.client().close()
        until('the end of k', lambda: g.raw('GET', target(key='k'))[0] == 404)
        equal(g.get('l')['version'], 1, 'l')


# ---- events ----

@test
def changes_are_events_for_who_listens():
    with Gateway() as g:
        g.put('before', 1)
        listener = Connection(g.dir)
        listener.request('GET', '/v1/sys/events?event=state:changed')
        stream = listener.getresponse()
        text = []

        def read():
            with contextlib.suppress(OSError, AttributeError):  # closed below
                while data := stream.read1(65536):
                    text.append(data.decode())

        def frames():
            lines = ''.join(text).split('\n\n')[:-1]
            return [json.loads(line.partition('data: ')[2]) for line in lines if 'data: ' in line]
        threading.Thread(target=read, daemon=True).start()
        g.put('k', 1)
        g.put('k', 2, ttl=1)
        g.tx([{'op': 'put', 'key': 'a', 'value': 1}, {'op': 'delete', 'key': 'before'}])
        g.json('PUT', STATE, {'key': 'k', 'value': 1, 'expectedVersion': 9})
        want = [('k', 'put', 1), ('k', 'put', 2), ('a', 'put', 1), ('before', 'delete', 1),
                ('k', 'expire', 2)]
        until('all events', lambda: len(frames()) >= len(want))
        equal([(f['data']['key'], f['data']['op'], f['data']['version']) for f in frames()], want,
              'events')
        listener.sock.shutdown(socket.SHUT_RDWR)  # or closing waits for the reader
        equal({(f['event'], f['source']) for f in frames()}, {('state:changed', 'cloudosd')}, '')
        listener.close()


# ---- transactions ----

@test
def a_transaction_is_done_whole_or_not_at_all():
    with Gateway() as g:
        g.put('b', 1)
        ops = [{'op': 'put', 'key': 'a', 'value': 1}, {'op': 'delete', 'key': 'b'},
               {'op': 'delete', 'key': 'none'}, {'op': 'check', 'key': 'c', 'version': 2}]
        answer = g.tx(ops, 409)
        equal(answer['error']['code'], 'VERSION_CONFLICT', 'code')
        equal(answer['error']['details'], {'index': 3, 'version': 0}, 'details')
        equal([e['key'] for e in g.list()['state']], ['b'], 'nothing is done')
        g.put('c', 1)
        g.put('c', 2)
        answer = g.tx(ops)['results']
        equal(answer[0]['version'], 1, 'put')
        equal(answer[1:], [{'op': 'delete', 'key': 'b', 'deleted': True, 'version': 1},
                           {'op': 'delete', 'key': 'none', 'deleted': False, 'version': 0},
                           {'op': 'check', 'key': 'c', 'version': 2}], 'results')
        equal([e['key'] for e in g.list()['state']], ['a', 'c'], 'all is done')
        answer = g.tx([{'op': 'delete', 'key': 'a', 'expectedVersion': 1},
                       {'op': 'put', 'key': 'a', 'value': 2, 'ttl': 100}])['results']
        equal((answer[1]['version'], 'expiresAt' in answer[1]), (1, True), 'in order')


@test
def what_is_no_transaction_is_400():
    with Gateway() as g:
        for ops in ([], {}, 1, None, [1], [{}], [{'op': 'put', 'key': 'k'}],
                    [{'op': 'jump', 'key': 'k'}], [{'op': 'put', 'value': 1}],
                    [{'op': 'put', 'key': '', 'value': 1}], [{'op': 'check', 'key': 'k'}],
                    [{'op': 'check', 'key': 'k', 'version': 'x'}],
                    [{'op': 'delete', 'key': 'k', 'expectedVersion': -1}],
                    [{'op': 'put', 'key': 'k', 'value': 1}] * 2):
            equal(g.tx(ops, 400)['error']['code'], 'INVALID_REQUEST', ops)
        refused(g.json('POST', STATE + '/tx', '{}'), 400, 'INVALID_REQUEST', 'ops')
        many = [{'op': 'put', 'key': 'k%d' % i, 'value': 1} for i in range(129)]
        equal(g.tx(many, 413)['error']['code'], 'TOO_LARGE', 'too many')
        equal(len(g.tx(many[:128])['results']), 128, 'as many as can be')


# ---- failures ----

@test
def what_is_acknowledged_outlives_kill_9_and_no_version_comes_twice():
    with Gateway() as g:
        acknowledged, asked, stop = {}, {}, threading.Event()

        def writer(key):
            c = Connection(g.dir)
            while not stop.is_set():
                asked[key] = asked.get(key, 0) + 1
                try:
                    c.request('PUT', STATE, body=json.dumps({'key': key, 'value': asked[key]}))
                    answer = c.getresponse()
                    entry = json.loads(answer.read())
                except (OSError, http.client.HTTPException, ValueError):
                    c.close()
                    stop.wait(0.005)
                    continue
                if answer.status == 200:
                    acknowledged[key] = (entry['version'], entry['value'])
            c.close()
        threads = [threading.Thread(target=writer, args=('k%d' % i,), daemon=True)
                   for i in range(8)]
        for t in threads:
            t.start()
        try:
            for _ in range(4):
                before = dict(acknowledged)
                until('puts', lambda: all(acknowledged.get('k%d' % i) != before.get('k%d' % i)
                                          for i in range(8)))
                g.kill_daemon()
        finally:
            stop.set()
            for t in threads:
                t.join()
        g.client().close()
        for key, (version, value) in acknowledged.items():
            entry = g.get(key)
            # one more may have been done whose answer was lost with a connection
            check(entry['version'] >= version, '%s: %r after %d' % (key, entry, version))
            check(entry['value'] >= value, '%s: %r after %d' % (key, entry, value))
            check(entry['version'] <= entry['value'], '%s was put twice: %r' % (key, entry))


def full_and_free(g, fill_up, free_up):
    """Puts until the disk is full; reads go on; puts go on when there is room."""
    g.put('kept', 'x')
    fill_up()
    last = None
    for i in range(4000):
        status, answer = g.json('PUT', STATE, {'key': 'big%d' % i, 'value': 'v' * 65536})
        if status != 200:
            last = status, answer
            break
    refused(last or (0, {}), 507, 'NO_SPACE', 'disk is full')
    equal(g.get('kept')['value'], 'x', 'a read on a full disk')
    check(g.list(prefix='big')['state'], 'a list on a full disk')
    free_up()

    def again():
        status, _ = g.json('PUT', STATE, {'key': 'after', 'value': 1})
        check(status in (200, 507), 'status %d' % status)
        return status == 200
    until('puts with room again', again)
    equal(g.get('kept')['value'], 'x', 'kept')


@test
def a_full_file_is_507_reads_go_on_and_it_recovers_by_itself():
    with Gateway() as g:
        pid = g.status()['pid']
        old = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        full_and_free(
            g, lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (4 << 20, old[1])),
            lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, old))


def in_own_mounts(function):
    """Runs it in a child that may mount; its mounts end with it."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            done = libc.unshare(0x20000) == 0 and subprocess.run(
                ['mount', '--make-rprivate', '/'], capture_output=True).returncode == 0
            status = 77 if not done else 0
            if done:
                function()
        except Skip:
            status = 77
        except BaseException as e:  # the child must not go on as the parent
            print('%s: %s' % (type(e).__name__, e))
            status = 1
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 77:
        raise Skip('no mount name space without root')
    equal(status, 0, 'the child with the full disk')


@test
def a_full_disk_is_507_reads_go_on_and_it_recovers_by_itself():
    def child():
        g = Gateway()
        r = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', g.dir],
                           capture_output=True, text=True)
        if r.returncode:
            raise Skip(r.stderr)
        with g:
            junk = os.path.join(g.dir, 'junk')

            def fill_up():
                with open(junk, 'wb') as f:
                    with contextlib.suppress(OSError):
                        for _ in range(8):
                            f.write(b'x' * (1 << 20))
                            f.flush()
            full_and_free(g, fill_up, lambda: os.unlink(junk))
        subprocess.run(['umount', '-l', g.dir], capture_output=True)
        os.rmdir(g.dir)
    in_own_mounts(child)


# ---- cloudosctl ----

@test
def cloudosctl_sets_gets_lists_and_deletes():
    with Gateway() as g:
        g.ctl('state', 'set', 'a', '{"n": 9007199254740993}')
        out = g.ctl('state', 'get', 'a').stdout
        check('{"n": 9007199254740993}' in out, out)
        equal(json.loads(g.ctl('state', 'get', 'a', '-o', 'json').stdout)['version'], 1, '')
        g.ctl('state', 'set', 'a', '1', '--create', status=5)
        g.ctl('state', 'set', 'a', '1', '--if-version', '1')
        g.ctl('state', 'set', 'b', '--text', 'hello', '--service', 'core')
        equal(json.loads(g.ctl('state', 'list', '-o', 'json').stdout)['state'][0]['value'], 1, '')
        check('hello' in g.ctl('state', 'list', '--service', 'core').stdout, 'of core')
        g.ctl('state', 'get', 'none', status=4)
        g.ctl('state', 'tx', '[{"op":"put","key":"c","value":1},{"op":"delete","key":"a"}]')
        g.ctl('state', 'delete', 'c', '--if-version', '9', status=5)
        g.ctl('state', 'delete', 'c', '--if-version', '1')
        g.ctl('state', 'delete', 'c', status=4)
        g.ctl('state', 'set', 'd', 'no JSON', status=2)


run()
