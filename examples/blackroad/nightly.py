# SPDX-License-Identifier: MIT
"""A cron job: every night a report about a folder.

    python3 nightly.py &
    cloudosctl job create nightly-report '{"folder": "/var/log"}' \\
        --schedule 'CRON_TZ=Europe/Berlin 30 2 * * *'

The schedule is kept by cloudosd: this program may come and go, and so may the machine.  Its
own part is to have an effect once for each run: the report is named after the run, so that
one that is tried again writes the same file.
"""
import os
import sys
import tempfile

from cloudos_handlers import Failure, Handlers

handlers = Handlers(service=sys.argv[1] if len(sys.argv) > 1 else None)


@handlers.job('nightly-report')
def report(params, call):
    folder = (params or {}).get('folder')
    if not folder or not os.path.isdir(folder):
        raise Failure('NO_FOLDER', '%r is no folder' % folder)
    names, size = sorted(os.listdir(folder)), 0
    for i, name in enumerate(names):
        if call.cancelled.is_set():
            return None  # nobody will hear of it
        size += os.lstat(os.path.join(folder, name)).st_size
        if i % 100 == 0:
            call.progress({'done': i, 'of': len(names)})
    path = os.path.join(params.get('reports') or tempfile.gettempdir(), call.run + '.txt')
    with open(path + '.new', 'w') as f:
        f.write('%s: %d entries, %d bytes\n' % (folder, len(names), size))
    os.replace(path + '.new', path)
    return {'report': path, 'entries': len(names), 'bytes': size}


handlers.run()
