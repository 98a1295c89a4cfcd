# SPDX-License-Identifier: MIT
"""GET /openapi.json against the answers that the daemon really gives."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../http'))
from talk import SRC, Gateway, check, equal, run, test  # noqa: E402

TIME = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$')
KINDS = {'object': dict, 'array': list, 'string': str, 'boolean': bool}
WORDS = {'type', 'required', 'properties', 'items', 'enum', 'additionalProperties', 'minimum',
         'pattern', 'format', 'anyOf', '$ref'}


def wrong(api, schema, value, at='$'):
    """What is wrong with value, or None.  As much of JSON Schema as schemas.def uses."""
    check(set(schema) <= WORDS, 'this test does not know all of %r' % schema)
    if '$ref' in schema:
        name = schema['$ref'].rpartition('/')[2]
        return wrong(api, api['components']['schemas'][name], value, at)
    if 'anyOf' in schema:
        all_ = [wrong(api, s, value, at) for s in schema['anyOf']]
        return None if None in all_ else '; '.join(all_)
    kind = schema.get('type')
    if kind in ('number', 'integer'):
        good = not isinstance(value, bool) and isinstance(
            value, int if kind == 'integer' else (int, float))
        if not good or value < schema.get('minimum', value):
            return '%s is %r' % (at, value)
    elif kind and not isinstance(value, KINDS[kind]):
        return '%s is %r and not %s' % (at, value, kind)
    if 'enum' in schema and value not in schema['enum']:
        return '%s is %r' % (at, value)
    if 'pattern' in schema and not re.search(schema['pattern'], value):
        return '%s is %r' % (at, value)
    if schema.get('format') == 'date-time' and not TIME.match(value):
        return '%s is %r' % (at, value)
    if isinstance(value, dict):
        for name in schema.get('required', ()):
            if name not in value:
                return '%s has no %s' % (at, name)
        for name, member in value.items():
            inner = schema.get('properties', {}).get(
                name, schema.get('additionalProperties', {}))
            found = wrong(api, inner, member, '%s.%s' % (at, name))
            if found:
                return found
    if isinstance(value, list):
        for i, element in enumerate(value):
            found = wrong(api, schema.get('items', {}), element, '%s[%d]' % (at, i))
            if found:
                return found
    return None


# operation: requests whose answers are compared, (query or path, body).  {job} is a job's id.
ASK = {
    'state_set': [('', {'key': 'a', 'value': {'deep': [1, None]}}), ('', {'key': 'b', 'value': 2})],
    'state_get': [('?key=a', None), ('', None)],
    'state_delete': [('?key=b', None)],
    'state_tx': [('', {'ops': [{'op': 'put', 'key': 'c', 'value': 3}]})],
    'log': [('', {'level': 'info', 'message': 'hello', 'meta': {'a': 1}})],
    'logs': [('?limit=5', None), ('', None)],
    'metric': [('', {'name': 'm', 'value': 1.5, 'unit': 'ms', 'tags': {'a': 'b'}})],
    'metrics': [('?name=m', None)],
    'rpc': [('', {'method': 'sys.ping', 'params': {}})],
    'event': [('', {'event': 'user:created', 'data': {'id': 1}})],
    'volume_create': [('', {'name': 'data'})],
    'image_busybox': [('', {'name': 'box:1'}), ('', {'name': 'box:2'})],
    'images': [('', None)],
    'image': [('?name=box:1', None)],
    'image_tag': [('', {'name': 'box:1', 'tag': 'other'})],
    'image_remove': [('?name=box:2', None)],
    'images_prune': [('', None)],
}
# Streams, upgrades, and what needs a handler: tested where they are.
NOT_ASKED = {'events', 'stream', 'trace', 'handlers', 'job_create', 'job_get', 'job_cancel',
             'job_run', 'job_retry', 'page', 'page_file'}
NOT_ASKED |= {'container', 'containers_prune'} | {'container_' + what for what in (
    'create', 'remove', 'start', 'stop', 'restart', 'pause', 'unpause', 'kill', 'update', 'wait',
    'stats', 'logs')}
NOT_ASKED |= {'volume', 'volume_remove'}  # tests/containers
NOT_ASKED |= {'image_import', 'image_export', 'image_commit'}  # tests/containers/images.py


def operations(api):
    for path, methods in api['paths'].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def rows():
    with open(os.path.join(SRC, 'personality/blackroad/ops.def')) as f:
        return re.findall(r'^OP\( *HTTP\((\w+), *"([^"]+)"\), *(\w+), *(\w+), *(\w+),', f.read(),
                          re.M)


def published(gateway):
    answer = gateway.get('/openapi.json')
    equal(answer.status, 200, 'the status')
    return answer.json()


@test
def it_has_every_row_that_is_answered_and_no_other():
    with Gateway() as g:
        api = published(g)
        want = {(m, re.sub(r':(\w+)', r'{\1}', p), name) for m, p, name, plane, support in rows()
                if support != 'ABSENT'}
        got = {(m, p, o['operationId']) for m, p, o in operations(api)}
        equal(got, want, 'operations')


@test
def all_that_it_refers_to_is_there():
    with Gateway() as g:
        api = published(g)
        for name in re.findall(r'#/components/schemas/(\w+)', json.dumps(api)):
            check(name in api['components']['schemas'], 'there is no schema %s' % name)


@test
def every_answer_is_as_it_says():
    with Gateway() as g:
        api = published(g)
        order = list(ASK)
        todo = sorted(operations(api), key=lambda o: order.index(o[2]['operationId'])
                      if o[2]['operationId'] in ASK else -1)
        for method, path, operation in todo:
            name = operation['operationId']
            if name in NOT_ASKED:
                continue
            for more, body in ASK.get(name, [('', None)]):
                answer = g.get(path + more, method=method, body=body)
                check(str(answer.status) in operation['responses'] and answer.status < 300,
                      '%s: %d %r' % (name, answer.status, answer.body))
                said = operation['responses'][str(answer.status)]['content']
                kind = answer.headers['content-type'].partition(';')[0]
                check(kind in said, '%s is %s' % (name, kind))
                if kind == 'application/json':
                    equal(wrong(api, said[kind]['schema'], answer.json()), None, name)


@test
def every_error_is_as_it_says():
    with Gateway() as g:
        api = published(g)
        error = api['components']['schemas']['Error']
        for answer in (g.get('/nothing'), g.get('/health', method='POST'),
                       g.get('/v1/sys/state', method='PUT', body={}),
                       g.get('/v1/sys/state?key=missing'),
                       g.get('/v1/sys/rpc', method='POST', body={'method': 'no.such'})):
            check(answer.status >= 400, 'no error: %r' % answer.body)
            equal(wrong(api, error, answer.json()), None, answer.body)


@test
def a_missing_argument_is_refused_wherever_it_is_required():
    with Gateway() as g:
        for method, path, operation in operations(published(g)):
            content = operation.get('requestBody', {}).get('content', {})
            required = content.get('application/json', {}).get('schema', {}).get('required', [])
            if required:
                path = re.sub(r'\{\w+\}', 'x', path)
                answer = g.get(path, method=method, body={})
                equal((answer.status, answer.error()), (400, 'INVALID_REQUEST'), path)
            for p in operation['parameters']:
                if p['required'] and p['in'] == 'query':
                    answer = g.get(path, method=method)
                    equal((answer.status, answer.error()), (400, 'INVALID_REQUEST'), path)


@test
def it_is_long_and_compressed_for_who_reads_that():
    import gzip
    with Gateway() as g:
        plain = g.get('/openapi.json')
        small = g.get('/openapi.json', 'Accept-Encoding: br;q=1, gzip')
        equal(small.headers.get('content-encoding'), 'gzip', 'the encoding')
        equal(small.headers.get('vary'), 'Accept-Encoding', 'what it depends on')
        equal(gzip.decompress(small.body), plain.body, 'the text')
        equal(plain.headers.get('content-encoding'), None, 'for others')
        refused = g.get('/openapi.json', 'Accept-Encoding: gzip;q=0')
        equal(refused.body, plain.body, 'for who refuses it')


if __name__ == '__main__':
    run()
