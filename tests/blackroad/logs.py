# SPDX-License-Identifier: MIT
"""POST /v1/sys/log and GET /v1/sys/logs: log and logs of ops.def."""
import contextlib
import http.client
import os
import re
import resource
import threading

from feeds import World, check, equal, run, test, until


def write(w, message, level='info', service='core', **headers):
    return w.post('/v1/sys/log?service=' + service, {'level': level, 'message': message},
                  **headers)


def messages(w, query):
    return [e['message'] for e in w.get('/v1/sys/logs?service=core&' + query)['logs']]


@test
def an_entry_reads_back_byte_for_byte():
    with World() as w:
        meta = '{"n":9007199254740993,"x":1e400,"d":123456789012345678901234567890,"a" : 0.10}'
        answer = w.post('/v1/sys/log?service=core',
                        '{"level":"warn","message":"a\\n\\u00fc\\u0001","meta":%s}' % meta,
                        X_Service_Name='blackroad-os-web')
        check(re.match(r'[0-9]{13}-[0-9a-z]+$', answer['id']), answer['id'])
        w.get('/v1/sys/logs?service=core')
        equal(w.text, '{"logs":[{"id":"%s","timestamp":"%s","level":"warn","message":'
              '"a\\n\xfc\\u0001","service":"blackroad-os-web","meta":%s}],"total":1,'
              '"limit":100,"offset":0}' % (answer['id'], answer['timestamp'], meta),
              'the listing')


@test
def without_a_caller_the_entry_is_the_services():
    with World() as w:
        write(w, 'x')
        entry = w.get('/v1/sys/logs?service=core')['logs'][0]
        equal(entry['service'], 'blackroad-os-core', 'its service')
        check('meta' not in entry, 'no meta without one')


@test
def entries_are_listed_oldest_first_page_by_page():
    with World() as w:
        ids = [write(w, 'm%d' % i, ['info', 'error'][i % 2])['id'] for i in range(10)]
        for query, want in (('', range(10)), ('limit=3', (0, 1, 2)),
                            ('limit=3&offset=8', (8, 9)), ('offset=20', ()),
                            ('level=error', (1, 3, 5, 7, 9)), ('level=error&limit=2', (1, 3)),
                            ('level=debug', ()), ('limit=0', ()),
                            ('order=desc&limit=2', (9, 8)), ('order=asc&limit=1', (0,)),
                            ('after=' + ids[6], (7, 8, 9)), ('before=' + ids[2], (0, 1)),
                            ('before=' + ids[0], ()),
                            ('order=desc&limit=2&before=' + ids[5], (4, 3)),
                            ('contains=M7', (7,)), ('contains=nothing', ())):
            equal(messages(w, query), ['m%d' % i for i in want], query)
        for query, total in (('', 10), ('limit=2', 10), ('level=error&limit=1', 5),
                             ('level=debug', 0), ('contains=m', 10), ('after=' + ids[6], 3)):
            equal(w.get('/v1/sys/logs?service=core&' + query)['total'], total, query)
        listing = w.get('/v1/sys/logs?service=core&limit=7&offset=2')
        equal((listing['limit'], listing['offset']), (7, 2), 'limit and offset')


@test
def services_do_not_see_each_others_entries_unless_all_are_asked_for():
    with World() as w:
        write(w, 'of core')
        write(w, 'of web', service='web')
        equal(messages(w, ''), ['of core'], 'of core')
        both = [e['message'] for e in w.get('/v1/sys/logs?service=*')['logs']]
        check('of core' in both and 'of web' in both, 'of all')
        equal(w.get('/v1/sys/logs?service=nobody')['total'], 0, 'of nobody')


@test
def the_daemons_own_lines_are_entries_of_cloudosd():
    with World() as w:
        entries = w.get('/v1/sys/logs')['logs']
        serves = [e for e in entries if ' serves ' in e['message']]
        equal(len(serves), 1, 'that it serves')
        equal(serves[0]['level'], 'info', 'its level')
        equal(serves[0]['meta']['subsystem'], 'daemon', 'its subsystem')


@test
def what_is_no_entry_is_refused():
    with World() as w:
        for body in ({'message': 'x'}, {'level': 'info'}, {'level': 'INFO', 'message': 'x'},
                     {'level': 'trace', 'message': 'x'}, {'level': 1, 'message': 'x'},
                     {'level': 'info', 'message': 5}, '{"level":"info"', ''):
            w.refused(400, 'POST', '/v1/sys/log', body)
        w.refused(413, 'POST', '/v1/sys/log', {'level': 'info', 'message': 'x' * 300000})
        for query in ('level=loud', 'limit=-1', 'limit=x', 'limit=1.5', 'offset=-2',
                      'order=up', 'after=x', 'before=1-1'):
            w.refused(400, 'GET', '/v1/sys/logs?' + query)
        equal(w.get('/v1/sys/logs?limit=99999999')['limit'], 1000, 'the largest page')


@test
def acknowledged_entries_outlive_kills():
    with World() as w:
        acknowledged, stop = [], threading.Event()

        def writer(n):
            i = 0
            while not stop.is_set():
                i += 1
                with contextlib.suppress(OSError, http.client.HTTPException):
                    answer = w.send('POST', '/v1/sys/log?service=core', {
                        'level': 'info', 'message': '%d.%d' % (n, i)})
                    if answer[0] == 201:
                        acknowledged.append('%d.%d' % (n, i))

        threads = [threading.Thread(target=writer, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for turn in range(1, 4):
            until('more entries', lambda: len(acknowledged) > 40 * turn)  # noqa: B023
            w.kill()
        stop.set()
        for t in threads:
            t.join()
        there, at = [], 0
        while True:
            page = messages(w, 'limit=1000&offset=%d' % at)
            if not page:
                break
            there += page
            at += len(page)
        equal(len(set(there)), len(there), 'none is there twice')
        equal(set(acknowledged) - set(there), set(), 'acknowledged and not there')
        equal(w.get('/v1/sys/logs?service=core&limit=1')['total'], len(there), 'the total')


@test
def a_full_disk_is_told_and_survived():
    with World() as w:
        write(w, 'before')
        pid = w.daemon()
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        wal = os.stat(os.path.join(w.dir, 'state/telemetry.db-wal')).st_size
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (wal + 8192, hard))

        def full():
            status, answer = w.ask('POST', '/v1/sys/log?service=core', {
                'level': 'info', 'message': 'x' * 4000})
            return status != 201 and (status, answer)
        status, answer = until('a full disk', full)
        equal((status, answer['error']['code']), (507, 'NO_SPACE'), 'the answer')
        equal(messages(w, 'limit=1'), ['before'], 'reading goes on')
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        write(w, 'after')
        equal(messages(w, 'order=desc&limit=1'), ['after'], 'it recovers by itself')
        listing = w.get('/v1/sys/logs?service=core&limit=1000')
        equal(listing['total'], len(listing['logs']), 'the total')


@test
def the_oldest_go_beyond_the_cap_and_totals_follow():
    with World(telemetry_rows=100) as w:
        for i in range(230):
            write(w, 'm%d' % i)
        listing = w.get('/v1/sys/logs?service=core&limit=1000')
        check(len(listing['logs']) <= 100, '%d are kept' % len(listing['logs']))
        equal(listing['logs'][-1]['message'], 'm229', 'the newest')
        equal(listing['total'], len(listing['logs']), 'the total')


run()
