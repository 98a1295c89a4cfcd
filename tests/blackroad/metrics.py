# SPDX-License-Identifier: MIT
"""POST /v1/sys/metric, GET /v1/sys/metrics and GET /metrics: metric, metrics, prometheus."""
import json
import re
import time

from feeds import World, check, equal, run, test, until

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="'
                    r'(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (-?[0-9.e+-]+|[+-]Inf|NaN)$')


def exposition(w):
    """Every line checked against the grammar: {family: type}, {sample line: value}."""
    status, text = w.ask('GET', '/metrics')
    equal(status, 200, 'GET /metrics')
    equal(w.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8', 'its type')
    check(text.endswith('\n'), 'a line end at the end')
    types, samples, family = {}, {}, None
    for line in text.splitlines():
        if line.startswith('# TYPE '):
            family, kind = line[7:].split(' ')
            check(family not in types, 'a family twice: ' + family)
            types[family] = kind
        elif not line.startswith('# HELP '):
            found = SAMPLE.match(line)
            check(found, 'no sample: ' + line)
            name, labels, value = found.groups()
            check(name == family or (types[family] in ('histogram', 'summary') and
                                     re.sub('_(bucket|sum|count)$', '', name) == family),
                  '%s in the family %s' % (name, family))
            check((name, labels) not in samples, 'a sample twice: ' + line)
            samples[name, labels] = value
    return types, samples


def record(w, name, value, **more):
    return w.post('/v1/sys/metric', '{"name":%s,"value":%s%s}' % (
        json.dumps(name), value,
        ''.join(',"%s":%s' % (k, json.dumps(v)) for k, v in more.items())))


@test
def a_sample_reads_back_as_it_was_written():
    with World() as w:
        a = record(w, 'cpu.usage', '75', unit='percent')
        b = record(w, 'cpu.usage', '0.10', tags={'method': 'GET', 'path': '/\xfc'})
        record(w, 'big', '123456789012345678901234567890')
        w.get('/v1/sys/metrics?name=cpu.usage')
        equal(w.text, '{"metrics":[{"id":"%s","timestamp":"%s","name":"cpu.usage","value":75,'
              '"unit":"percent"},{"id":"%s","timestamp":"%s","name":"cpu.usage","value":0.10,'
              '"tags":{"method": "GET", "path": "/\\u00fc"}}],"total":2,"limit":100}' % (
                  a['id'], a['timestamp'], b['id'], b['timestamp']), 'the listing')
        w.get('/v1/sys/metrics?name=big')
        check('"value":123456789012345678901234567890' in w.text, w.text)


@test
def samples_are_found_by_name_and_time():
    with World() as w:
        answers = []
        for i in range(5):
            answers.append(record(w, 'a' if i % 2 else 'b', i))
            until('the next millisecond',
                  lambda: time.time() * 1000 > int(answers[-1]['id'][:13]) + 2)

        def values(query):
            return [m['value'] for m in w.get('/v1/sys/metrics?' + query)['metrics']]
        equal(values(''), [0, 1, 2, 3, 4], 'all, oldest first')
        equal(values('name=a'), [1, 3], 'by name')
        equal(values('name=*'), [], 'a name is no pattern')
        equal(values('limit=2'), [0, 1], 'a page')
        equal(values('order=desc&limit=2'), [4, 3], 'newest first')
        equal(values('from=' + answers[3]['timestamp']), [3, 4], 'from, inclusive')
        equal(values('to=' + answers[1]['timestamp']), [0, 1], 'to, inclusive')
        equal(values('name=b&from=%s&to=%s' % (answers[1]['timestamp'],
                                               answers[3]['timestamp'])), [2], 'all of it')
        equal(w.get('/v1/sys/metrics?name=b&limit=1')['total'], 3, 'the total')
        equal(w.get('/v1/sys/metrics?limit=1&from=' + answers[3]['timestamp'])['total'], 2,
              'the total of a time')


@test
def what_is_no_sample_is_refused():
    with World() as w:
        for body in ('{"name":"x"}', '{"value":1}', '{"name":"x","value":"1"}',
                     '{"name":"x","value":null}', '{"name":"","value":1}',
                     '{"name":"x","value":1e400}', '{"name":"x","value":NaN}',
                     '{"name":"x","value":1,"tags":[]}', '{"name":"x","value":1,"tags":{"a":1}}',
                     '{"name":"x","value":1,"unit":5}', '{"name":"a\\nb","value":1}'):
            w.refused(400, 'POST', '/v1/sys/metric', body)
        w.refused(400, 'GET', '/v1/sys/metrics?from=yesterday')
        w.refused(400, 'GET', '/v1/sys/metrics?to=12:00')
        equal(w.get('/v1/sys/metrics')['total'], 0, 'nothing was recorded')


@test
def the_exposition_is_what_prometheus_reads():
    with World() as w:
        for value in ('125', '0.5', '1e6'):
            record(w, 'http.request.duration', value, tags={'method': 'GET'})
        record(w, '9 lives', '-1', tags={'quote': '"\\\n', '\xfc': '\xfc', 'le': 'x'})
        types, samples = exposition(w)
        labels = 'service="cloudosd",method="GET"'
        equal(types['http_request_duration'], 'gauge', 'the last value')
        equal(types['http_request_duration_observed'], 'histogram', 'all values')
        equal(float(samples['http_request_duration', labels]), 1e6, 'the last value')
        equal(samples['http_request_duration_observed_count', labels], '3', 'count')
        equal(samples['http_request_duration_observed_sum', labels], '1000125.5', 'sum')
        equal(samples['http_request_duration_observed_bucket', labels + ',le="500"'], '2', 'le')
        equal(samples['http_request_duration_observed_bucket', labels + ',le="+Inf"'], '3', 'le')
        check(int(samples['cloudos_http_requests_total', None]) >= 4, 'requests')
        check(any(name == '_9_lives' for name, _ in samples), 'a name that had to change')
        for name in ('cloudos_uptime_seconds', 'cloudos_store_commits_total',
                     'cloudos_telemetry_commit_seconds_count', 'cloudos_loop_lag_seconds',
                     'cloudos_store_commit_seconds_sum', 'cloudos_http_streams'):
            check((name, None) in samples, name)


@test
def too_many_series_are_counted_and_the_exposition_stays_whole():
    with World() as w:
        from concurrent.futures import ThreadPoolExecutor

        def some(n):
            from unix import Connection
            c = Connection(w.dir)
            for i in range(n, 10200, 4):
                c.request('POST', '/v1/sys/metric', json.dumps({
                    'name': 'exploding', 'value': i, 'tags': {'id': str(i)}}))
                answer = c.getresponse()
                answer.read()
                equal(answer.status, 201, 'a sample')
            c.close()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(some, range(4)))
        _, samples = exposition(w)
        equal(samples['cloudos_metric_series', None], '10000', 'series')
        equal(samples['cloudos_metric_samples_dropped_total', None], '200', 'dropped')
        equal(sum(name == 'exploding_observed_count' for name, _ in samples), 10000, 'written')


run()
