# SPDX-License-Identifier: MIT
"""Idempotency-Key: a POST that is repeated is carried out once."""
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fault'))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../http'))
from harness import check, equal, run, test, until  # noqa: E402
from unix import Connection, Unix  # noqa: E402


def post(g, path, body, key, query=''):
    status, headers, text = g.raw('POST', '/v1/sys/' + path + query, body, Idempotency_Key=key)
    return status, headers.get('Idempotent-Replayed'), text


def logs(g):
    return [e['message'] for e in g.json('GET', '/v1/sys/logs?limit=1000')[1]['logs']
            if e['message'].startswith('once')]


ENTRY = {'level': 'info', 'message': 'once upon a time'}


@test
def a_repeated_post_gets_the_first_answer_and_has_no_second_effect():
    with Unix() as g:
        first = post(g, 'log', ENTRY, 'k1')
        equal((first[0], first[1]), (201, None), 'the first')
        for _ in range(3):
            equal(post(g, 'log', ENTRY, 'k1'), (201, 'true', first[2]), 'again')
        equal(logs(g), [ENTRY['message']], 'logs')
        other = post(g, 'log', ENTRY, 'k2')
        check(other[2] != first[2], 'another key has the same answer')
        equal(len(logs(g)), 2, 'logs')


@test
def each_endpoint_and_service_has_keys_of_its_own():
    with Unix() as g:
        for path, body, query in (('log', ENTRY, ''), ('event', {'event': 'a:b'}, ''),
                                  ('metric', {'name': 'm', 'value': 1}, ''),
                                  ('log', ENTRY, '?service=core')):
            equal(post(g, path, body, 'k', query)[:2], (201, None), path + query)
            equal(post(g, path, body, 'k', query)[:2], (201, 'true'), path + query)
        ops = {'ops': [{'op': 'put', 'key': 'a', 'value': 1}]}
        equal(json.loads(post(g, 'state/tx', ops, 'k')[2])['results'][0]['version'], 1, 'tx')
        status, again, text = post(g, 'state/tx', ops, 'k')
        equal((status, again, json.loads(text)['results'][0]['version']), (200, 'true', 1), 'tx')


@test
def the_same_key_for_another_request_is_422():
    with Unix() as g:
        post(g, 'log', ENTRY, 'k')
        status, again, text = post(g, 'log', dict(ENTRY, message='once more'), 'k')
        equal((status, again), (422, None), text)
        equal(json.loads(text)['error']['code'], 'IDEMPOTENCY_KEY_REUSED', 'code')
        equal(len(logs(g)), 1, 'logs')


@test
def what_was_refused_can_be_put_right_under_its_key():
    with Unix() as g:
        equal(post(g, 'log', {'level': 'none', 'message': 'x'}, 'k')[0], 400, 'refused')
        equal(post(g, 'log', {'message': 'x'}, 'k')[0], 400, 'refused by the router')
        equal(post(g, 'log', '{', 'k')[0], 400, 'no JSON')
        equal(post(g, 'log', ENTRY, 'k')[0], 201, 'put right')
        equal(logs(g), [ENTRY['message']], 'logs')


@test
def keys_that_are_none_are_400():
    with Unix() as g:
        for key in ('a b', 'x' * 256, '\u00fc'):
            equal(post(g, 'log', ENTRY, key)[0], 400, key)
        equal(post(g, 'log', ENTRY, 'x' * 255)[0], 201, 'the longest')
        equal(logs(g), [ENTRY['message']], 'logs')


@test
def of_many_at_once_one_is_carried_out_and_all_get_its_answer():
    with Unix() as g:
        answers = []

        def ask():
            c = Connection(g.dir)
            c.request('POST', '/v1/sys/log', body=json.dumps(ENTRY),
                      headers={'Idempotency-Key': 'k'})
            answers.append(c.getresponse().read())
            c.close()
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(24)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        equal(len(answers), 24, 'answers')
        equal(len(set(answers)), 1, 'different ones')
        equal(len(logs(g)), 1, 'logs')


@test
def it_is_known_to_the_next_daemon():
    with Unix() as g:
        first = post(g, 'log', ENTRY, 'k')
        until('the record', lambda: post(g, 'log', ENTRY, 'k')[1] == 'true')
        g.connection.close()
        g.json('PUT', '/v1/sys/state', {'key': 'k', 'value': 1})  # committed behind it
        g.connection.close()
        g.kill_daemon()
        g.client().close()
        equal(post(g, 'log', ENTRY, 'k'), (201, 'true', first[2]), 'after kill -9')
        equal(len(logs(g)), 1, 'logs')


@test
def a_client_that_goes_away_does_not_stop_it():
    with Unix() as g:
        for i in range(20):
            c = Connection(g.dir)
            c.request('POST', '/v1/sys/log', body=json.dumps(dict(ENTRY, message='once %d' % i)),
                      headers={'Idempotency-Key': 'k%d' % i})
            c.close()
        until('all logs', lambda: len(logs(g)) == 20)
        for i in range(20):
            status, again, _ = post(g, 'log', dict(ENTRY, message='once %d' % i), 'k%d' % i)
            equal((status, again), (201, 'true'), 'of one who went away')
        equal(len(logs(g)), 20, 'logs')


@test
def a_request_without_key_or_of_another_kind_is_as_always():
    with Unix() as g:
        equal(g.raw('POST', '/v1/sys/log', ENTRY)[0], 201, 'no key')
        for version in (1, 2):
            status, _, text = g.raw('PUT', '/v1/sys/state', {'key': 'a', 'value': 1},
                                    Idempotency_Key='k')
            equal((status, json.loads(text)['version']), (200, version), 'PUT')


run()
