# SPDX-License-Identifier: MIT
"""POST /v1/sys/event and GET /v1/sys/events: event and events of ops.def."""
import contextlib
import http.client
import json
import re
import socket
import threading
import time

from feeds import LIMIT, SLOW, World, check, equal, long_path, run, test, until

ID = re.compile(r'[0-9]{13}-[0-9a-z]{1,13}$')
TIME = re.compile(r'20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$')


@test
def an_event_is_acknowledged_and_followed_byte_for_byte():
    with World() as w, w.follow() as s:
        data = '{"n":9007199254740993,"x":1e400,"z":0.10,"u":"\\u0000\\ud800","e":{ } }'
        body = '{"data": %s, "event":"user:created"}' % data
        answer = w.post('/v1/sys/event', body, X_Service_Name='blackroad-os-operator')
        check(ID.match(answer['id']), answer['id'])
        check(TIME.match(answer['timestamp']), answer['timestamp'])
        line = until('its frame', lambda: next(
            (x for x in [s.line()] if x.startswith('data: ')), None))
        equal(line, 'data: {"id":"%s","event":"user:created","timestamp":"%s","source":'
              '"blackroad-os-operator","data":%s}' % (answer['id'], answer['timestamp'], data),
              'the frame')


@test
def frames_have_an_id_and_data_and_nothing_that_silences_onmessage():
    with World() as w, w.follow() as s:
        equal(s.answer.getheader('cache-control'), 'no-cache', 'Cache-Control')
        equal(s.answer.getheader('x-accel-buffering'), 'no', 'X-Accel-Buffering')
        ids = [w.emit('e%d' % i)['id'] for i in range(3)]
        for i in range(3):
            equal(s.frame()['event'], 'e%d' % i, 'an event')
            equal(s.last, ids[i], 'its id')
        equal(s.fields, {'id', 'data'}, 'the fields')


@test
def line_ends_in_data_do_not_break_the_frame():
    with World() as w, w.follow() as s:
        w.post('/v1/sys/event', '{"event":"a","data":{\r\n"b":\r[1,\n2]}}')
        w.emit('end')
        equal(s.frame()['data'], {'b': [1, 2]}, 'the data')
        equal(s.frame()['event'], 'end', 'what follows')


@test
def a_follower_gets_the_events_it_asked_for():
    with World() as w:
        with contextlib.ExitStack() as stack:
            streams = {path: stack.enter_context(w.follow('/v1/sys/events' + path)) for path in (
                '', '?event=user:created', '?event=user:*', '?event=a,job:*', '?service=core',
                '?service=*', '?service=core&event=user:*')}
            for service, event in (('', 'user:created'), ('core', 'user:updated'),
                                   ('', 'job:done'), ('core', 'a'), ('', 'a'), ('core', 'x')):
                w.post('/v1/sys/event' + (service and '?service=' + service), {'event': event})
            for service in ('', '?service=core'):
                w.post('/v1/sys/event' + service, {'event': 'user:created'})
            for path, want in (
                    ('', ['user:created', 'job:done', 'a', 'user:created']),
                    ('?event=user:created', ['user:created'] * 2),
                    ('?event=user:*', ['user:created'] * 2),
                    ('?event=a,job:*', ['job:done', 'a']),
                    ('?service=core', ['user:updated', 'a', 'x', 'user:created']),
                    ('?service=*', ['user:created', 'user:updated', 'job:done', 'a', 'a', 'x',
                                    'user:created', 'user:created']),
                    ('?service=core&event=user:*', ['user:updated', 'user:created'])):
                equal([f['event'] for f in streams[path].frames(len(want))], want, path)


@test
def since_is_exclusive_and_what_happens_next_follows():
    with World() as w:
        answers = []
        for i in range(5):
            answers.append(w.emit('e%d' % i))
            until('the next millisecond', lambda: time.time() * 1000 // 1 >
                  int(answers[-1]['id'][:13]) + 1)
        for stamp in (answers[1]['timestamp'], answers[1]['timestamp'].replace('Z', '%2B00:00')):
            with w.follow('/v1/sys/events?event=e*&since=' + stamp) as s:
                equal([f['event'] for f in s.frames(3)], ['e2', 'e3', 'e4'], 'since ' + stamp)
                w.emit('e5')
                equal(s.frame()['event'], 'e5', 'the next')
                answers.append(None)
        with w.follow('/v1/sys/events?since=2999-01-01T00:00:00Z&event=x,sys:*') as s:
            w.emit('x')
            with w.follow('/v1/sys/events?event=x&since=' + answers[0]['timestamp']) as other:
                equal(other.frame()['event'], 'x', 'since the past')
            s.connection.sock.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                raise AssertionError('told %r before its time' % s.frame())


@test
def ids_that_are_none_mean_from_now_on():
    with World() as w:
        w.emit('before')
        for garbage in ('x', '1-1', '0000000000000-', '-1', '9' * 40, 
                        '99999999999999999999-zzzz', '%00', '1732104000000-ZZ'):
            with w.follow(Last_Event_ID=garbage) as s:
                w.emit('after')
                equal(s.frame()['event'], 'after', 'with Last-Event-ID %r' % garbage)
        # of a history that is gone: its time counts
        last = w.emit('known')['id']
        with w.follow(Last_Event_ID=last[:13] + '-zzzzzzzz') as s:
            w.emit('later')
            check(s.frame()['event'] in ('known', 'later'), 'what came since')


@test
def a_follower_resumes_across_kills_without_loss_or_duplicate():
    with World() as w:
        acknowledged, stop, failed = [], threading.Event(), []

        def emitter(n):
            i = 0
            while not stop.is_set():
                i += 1
                with contextlib.suppress(OSError, http.client.HTTPException):
                    status, _, text = w.send('POST', '/v1/sys/event',
                                             {'event': 'tick', 'data': [n, i]})
                    if status == 201:
                        acknowledged.append(json.loads(text)['id'])
                    elif status != 503:
                        failed.append(text)

        first = w.emit('first')['id']
        threads = [threading.Thread(target=emitter, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        got, last = [], first
        for _ in range(3):
            with contextlib.suppress(OSError, EOFError, http.client.HTTPException, ValueError):
                with w.follow(Last_Event_ID=last) as s:
                    for _ in range(50):
                        got.append(s.frame()['id'])
                        last = s.last
                    w.kill()
                    while True:
                        got.append(s.frame()['id'])
                        last = s.last
        stop.set()
        for t in threads:
            t.join()
        equal(failed, [], 'refused')
        end = w.emit('end')['id']
        with w.follow(Last_Event_ID=last) as s:
            while last != end:
                got.append(s.frame()['id'])
                last = s.last
        check(len(acknowledged) > 100, 'many were acknowledged')
        equal(len(set(got)), len(got), 'none came twice')
        equal(sorted(got, key=lambda i: int(i[14:], 36)), got, 'all came in order')
        equal(set(acknowledged) - set(got), set(), 'acknowledged and not told')


@test
def forgotten_events_are_told_as_a_gap():
    with World(telemetry_rows=100) as w:
        first = w.emit('first')
        for _ in range(250):
            last = w.emit('tick')
        with w.follow(Last_Event_ID=first['id']) as s:
            gap = s.frame()
            equal(gap['event'], 'sys:gap', 'what comes first')
            equal(gap['data']['from'], first['id'], 'where the gap begins')
            equal(gap['data']['to'], gap['id'], 'where it ends')
            rest = [gap]
            while rest[-1]['id'] != last['id']:
                rest.append(s.frame())
            check(len(rest) <= 102, 'no more than are kept')
            equal(gap['data']['lost'] + len(rest) - 1, 250, 'lost and told')
        with w.follow('/v1/sys/events?since=2020-01-01T00:00:00Z') as s:
            equal(s.frame()['event'], 'sys:gap', 'since a forgotten time')
        with w.follow(Last_Event_ID=rest[1]['id']) as s:
            equal(s.frame()['id'], rest[2]['id'], 'behind one that is kept')


@test
def idle_streams_have_heartbeats():
    with World(http_heartbeat=50) as w, w.follow() as s:
        until('ten comments', lambda: s.line() is not None and s.comments > 10)
        w.emit('x')
        equal(s.frame()['event'], 'x', 'behind them')


@test
def a_reader_that_stops_gets_everything_when_it_goes_on():
    with World() as w, w.follow() as s:
        for _ in range(3000):
            w.emit('tick', 'x' * 2000)
        ids = [f['id'] for f in s.frames(3000)]
        equal(len(set(ids)), 3000, 'none came twice')
        equal(ids, sorted(ids, key=lambda i: int(i[14:], 36)), 'all came in order')


@test
def a_reader_that_never_reads_is_cut():
    with World(http_idle=500) as w:
        s = socket.socket(socket.AF_UNIX)
        with long_path(w.socket) as path:
            s.connect(path)
        s.settimeout(LIMIT)
        s.sendall(b'GET /v1/sys/events HTTP/1.1\r\nHost: x\r\n\r\n')
        s.recv(1000)
        streams = 'cloudos_feed_readers{table="events"} 1'
        check(streams in w.get('/metrics'), 'it is followed')
        for _ in range(400):
            w.emit('tick', 'x' * 4000)
        until('its end', lambda: streams not in w.get('/metrics'))
        s.close()


@test
def a_thousand_slow_readers_cost_little_and_hold_nobody_up():
    with World(http_streams=2000, http_connections=4000) as w:
        slow = []
        for _ in range(1000):
            s = socket.socket(socket.AF_UNIX)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(LIMIT)
            with long_path(w.socket) as path:
                s.connect(path)
            s.sendall(b'GET /v1/sys/events HTTP/1.1\r\nHost: x\r\n\r\n')
            slow.append(s)
        until('all of them', lambda: 'cloudos_feed_readers{table="events"} 1000\n' in
              w.get('/metrics'))
        worst = 0
        for _ in range(200):
            begun = time.monotonic()
            w.emit('tick', 'x' * 2000)
            w.get('/health')
            worst = max(worst, time.monotonic() - begun)
        with open('/proc/%d/status' % w.daemon()) as f:
            rss = int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))
        check(SLOW > 1 or rss < 150 * 1024, '%d kB resident' % rss)
        check(worst < 10, 'an answer took %.1f s' % worst)
        last = w.emit('end')['id'].encode()
        read = b''
        while last not in read:
            read += slow[500].recv(65536)
        equal(read.count(b'"event":"tick"'), 200, 'what one of them has read')
        for s in slow:
            s.close()


@test
def what_is_no_event_is_refused():
    with World() as w:
        for body in ('', '{}', '[]', '1', '{"event":1}', '{"event":""}', '{"event":null}',
                     '{"event":"a\\nb"}', '{"event":"sys:gap"}', '{"event":"a","data":}',
                     '{"event":"a\\ud800"}', json.dumps({'event': 'x' * 256})):
            check(w.ask('POST', '/v1/sys/event', body)[0] in (400, 413), body)
        w.refused(413, 'POST', '/v1/sys/event', {'event': 'a', 'data': 'x' * 300000})
        w.refused(400, 'GET', '/v1/sys/events?since=yesterday')
        equal(w.ask('HEAD', '/v1/sys/events')[0], 200, 'HEAD')
        equal(w.headers['content-type'], 'text/event-stream', 'its type')
        w.refused(405, 'DELETE', '/v1/sys/events')


run()
