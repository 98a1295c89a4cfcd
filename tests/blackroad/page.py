# SPDX-License-Identifier: MIT
"""The files of the page as HTTP clients see them: page and page_file of ops.def.

What browsers make of them is tested in tests/page.
"""
import gzip
import http.client
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fault'))
from harness import LIMIT, SRC, Domain, check, equal, run, test  # noqa: E402

BUDGET = 60000  # bytes of all files as they are served
PAGE = os.path.join(SRC, 'page')
FILES = sorted(n for n in os.listdir(PAGE) if n.endswith(('.html', '.css', '.js')))


class Gateway(Domain):
    def __enter__(self):
        self.start()
        with open(os.path.join(self.dir, 'run/http.json')) as f:
            self.address = json.load(f)['tcp']
        return self

    def get(self, path, method='GET', **headers):
        connection = http.client.HTTPConnection(self.address, timeout=LIMIT)
        connection.request(method, path, headers={k.replace('_', '-'): v
                                                  for k, v in headers.items()})
        answer = connection.getresponse()
        answer.data = answer.read()
        connection.close()
        return answer


def path_of(name):
    return '/' if name == 'index.html' else '/page/' + name


def source(name):
    with open(os.path.join(PAGE, name), 'rb') as f:
        return f.read()


@test
def each_file_is_served_as_it_is_in_the_tree_compressed_and_not():
    with Gateway() as g:
        for name in FILES:
            plain = g.get(path_of(name))
            equal((plain.status, plain.data), (200, source(name)), name)
            equal(plain.getheader('Content-Encoding'), None, name)
            small = g.get(path_of(name), Accept_Encoding='gzip, deflate')
            equal(small.getheader('Content-Encoding'), 'gzip', name)
            equal(gzip.decompress(small.data), source(name), name + ' compressed')
            for answer in (plain, small):
                equal(answer.getheader('Vary'), 'Accept-Encoding', name)
            refused = g.get(path_of(name), Accept_Encoding='gzip;q=0')
            equal(refused.data, source(name), name + ' for who refuses gzip')


@test
def all_files_together_keep_to_the_budget():
    with Gateway() as g:
        sizes = {n: len(g.get(path_of(n), Accept_Encoding='gzip').data) for n in FILES}
        print('the page: %d bytes in %d files' % (sum(sizes.values()), len(sizes)))
        check(sum(sizes.values()) < BUDGET, 'the page has grown: %r' % sizes)


@test
def every_file_carries_the_strict_policy_and_its_own_type():
    types = {'html': 'text/html', 'css': 'text/css', 'js': 'text/javascript'}
    with Gateway() as g:
        for name in FILES:
            answer = g.get(path_of(name))
            policy = dict((d.split(' ', 1) + [''])[:2] for d in re.split(
                r'; *', answer.getheader('Content-Security-Policy')))
            for directive, value in {
                    'default-src': "'none'", 'script-src': "'self'", 'style-src': "'self'",
                    'connect-src': "'self'", 'img-src': "'self' data:",
                    'frame-ancestors': "'none'", 'base-uri': "'none'", 'form-action': "'none'",
                    'require-trusted-types-for': "'script'", 'trusted-types': "'none'"}.items():
                equal(policy.get(directive), value, '%s of %s' % (directive, name))
            equal(answer.getheader('X-Content-Type-Options'), 'nosniff', name)
            equal(answer.getheader('Content-Type'),
                  types[name.rpartition('.')[2]] + '; charset=utf-8', name)


@test
def an_unchanged_file_is_not_sent_again():
    with Gateway() as g:
        tags = set()
        for name in FILES:
            tag = g.get(path_of(name)).getheader('ETag')
            tags.add(tag)
            again = g.get(path_of(name), If_None_Match='"other", ' + tag)
            equal((again.status, again.data), (304, b''), name)
            equal(g.get(path_of(name), If_None_Match='"other"').status, 200, name)
        equal(len(tags), len(FILES), 'tags of %d files' % len(FILES))


@test
def head_has_the_head_and_unknown_files_are_an_error_in_json():
    with Gateway() as g:
        head = g.get('/page/app.js', method='HEAD')
        equal((head.status, head.data), (200, b''), 'HEAD')
        equal(head.getheader('Content-Length'), str(len(source('app.js'))), 'its length')
        for name in ('nothing.js', '..%2findex.html', '%2e%2e', 'embed.sh', 'README.md'):
            answer = g.get('/page/' + name)
            equal((answer.status, json.loads(answer.data)['error']['code']), (404, 'NOT_FOUND'),
                  name)
        equal(g.get('/page/app.js', method='POST').status, 405, 'POST')


@test
def no_file_has_inline_script_or_style_or_a_way_to_make_markup():
    html = source('index.html').decode()
    check(not re.search(r'<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:', html),
          'index.html has inline script or style')
    for name in FILES:
        text = source(name).decode()
        check('SPDX-License-Identifier: MIT' in text, name + ' has no licence line')
        if name.endswith('.js'):
            found = re.search(r'innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b'
                              r'|new Function|DOMParser|srcdoc', text)
            check(not found, '%s has %s' % (name, found and found.group()))
        elsewhere = re.search(r'(?<!xmlns=\')https?://(?!www\.w3\.org/2000/svg)[^\s\'"`]+', text)
        check(not elsewhere, '%s names %s' % (name, elsewhere and elsewhere.group()))


@test
def cloudosctl_tells_where_the_page_is():
    with Gateway() as g:
        equal(g.ctl('page').stdout, 'http://%s\n' % g.address, 'cloudosctl page')
        equal(json.loads(g.ctl('page', '-o', 'json').stdout), 'http://' + g.address, 'as JSON')
        g.ctl('daemon', 'stop')
        check('no daemon is running' in g.ctl('page', status=3).stderr, 'without a daemon')
        os.makedirs(os.path.join(g.dir, 'config'), 0o700, exist_ok=True)
        with open(os.path.join(g.dir, 'config/cloudosd.yaml'), 'w') as f:
            f.write('http:\n  address: none\n')
        g.start()
        check('listens on no address' in g.ctl('page', status=4).stderr, 'without an address')


@test
def every_command_that_the_page_names_is_one_of_cloudosctl():
    with open(os.path.join(SRC, 'cli/commands.def')) as f:
        known = re.findall(r'^COMMAND\(\w+, "([a-z -]+)"', f.read(), re.M)
    named = set()
    for name in FILES:
        named |= set(re.findall(r'cloudosctl ((?:[a-z][a-z-]* ?)+)', source(name).decode()))
    check(len(named) > 4, 'the page names %r' % named)
    for words in named:
        check(any((words + ' ').startswith(k + ' ') for k in known) or words.strip() == 'help',
              'there is no command "cloudosctl %s"' % words)


run()
