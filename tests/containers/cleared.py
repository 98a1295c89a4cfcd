# SPDX-License-Identifier: MIT
"""What a test leaves when it fails: nothing.  For tests of containers of a daemon."""
import json
import subprocess


def clear(command, env, limit):
    """Removes all containers of a domain and ends its daemon, whatever became of it: another
    one is started if there is none, and takes away what monitors and daemons that were killed
    have left (groups, interfaces, tables, mounts).  command: how cloudosctl is run.  Returns
    what went wrong, in words; the folder may go when that is nothing."""
    def run(*words):
        return subprocess.run([*command, *words], env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=limit, check=False)
    try:
        done = run('container', 'ls', '-a', '-o', 'json')
        if done.returncode == 0:
            for c in json.loads(done.stdout or '[]'):
                done = run('container', 'rm', '-f', c['name'])
                if done.returncode:
                    break
        why = done.stderr if done.returncode else ''
        run('daemon', 'stop', '--force')
        return why
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return str(error)
