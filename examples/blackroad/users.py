#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A service that answers getUserById: python3 examples/blackroad/users.py [SERVICE]"""
import sys

from cloudos_handlers import Failure, Handlers

users = {123: {'id': 123, 'email': 'user@example.com', 'name': 'John Doe'}}
handlers = Handlers(service=sys.argv[1] if len(sys.argv) > 1 else None)


@handlers.method('getUserById')
def get_user(params, call):
    if params['id'] not in users:
        raise Failure('USER_NOT_FOUND', 'User with ID %s not found' % params['id'],
                      {'id': params['id']})
    return users[params['id']]


if __name__ == '__main__':
    handlers.run()
