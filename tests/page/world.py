# SPDX-License-Identifier: MIT
"""A daemon and a browser that looks at its page; what its tests share."""
import http.client
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, '../fault'))
from browser import Browser, chromium  # noqa: E402
from harness import BUILD, LIMIT, Domain, Skip, check, equal, run, test, until  # noqa: E402,F401
from worker import Worker  # noqa: E402

VIEWS = ['logs', 'overview', 'state', 'jobs', 'events', 'rpc', 'metrics', 'trace', 'guests', 'containers']
_browser = None


def browser():
    """One for all tests of a file; each tab has a profile of its own."""
    global _browser
    if not _browser:
        _browser = Browser()
    return _browser


def finish():
    if _browser:
        _browser.close()


class World(Domain):
    """With a daemon; on leaving, no tab may have had a fault."""

    def __init__(self, config='', **variables):
        super().__init__(**variables)
        self.tabs, self.workers = [], []
        if config:
            os.makedirs(os.path.join(self.dir, 'config'), 0o700)
            with open(os.path.join(self.dir, 'config/cloudosd.yaml'), 'w') as f:
                f.write(config)

    def __enter__(self):
        self.start()
        self.find()
        return self

    def find(self):
        with open(os.path.join(self.dir, 'run/http.json')) as f:
            self.address = json.load(f)['tcp']
        self.url = 'http://%s/' % self.address

    def __exit__(self, kind, value, trace):
        faults = []
        for tab in self.tabs:
            if not kind:
                faults += tab.faults()
            tab.close()
        for worker in self.workers:
            worker.close()
        super().__exit__(kind, value, trace)
        equal(faults, [], 'what browsers complain of')

    def web(self, method, path, body=None, status=None, **headers):
        """One request; the JSON of its answer."""
        connection = http.client.HTTPConnection(self.address, timeout=LIMIT)
        connection.request(method, '/v1/sys/' + path,
                           None if body is None else json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        equal(answer.status // 100 if status is None else answer.status, status or 2,
              '%s %s (%s)' % (method, path, data.decode()))
        return json.loads(data) if data else None

    def log(self, message=None, level='info', service='cloudosd', **meta):
        """Writes an entry; without a message, the daemon's own log (Domain)."""
        if message is None:
            return super().log()
        return self.web('POST', 'log?service=' + service, dict(
            level=level, message=message, **({'meta': meta} if meta else {})))

    def worker(self, service, methods=None, jobs=None):
        worker = Worker(self.address, service, methods, jobs)
        self.workers.append(worker)
        return worker

    def open(self, view='logs', ready=True, **look):
        tab = browser().tab(self.url + '#' + view, **look)
        tab.origin = self.url
        self.tabs.append(tab)
        if ready:
            tab.until('the view ' + view, '!!document.querySelector("section.view.%s")' % view)
            tab.until('the stream', 'document.querySelector("#stream").innerText === "live"')
        return tab


def main():
    if not chromium():
        print('SKIP: there is no Chromium, in which the page is looked at: '
              'apt-get install chromium')
        sys.exit(1 if os.environ.get('CO_STRICT') == '1' else 77)
    try:
        run()
    finally:
        finish()
