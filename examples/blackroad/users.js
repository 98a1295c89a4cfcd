// SPDX-License-Identifier: MIT
// What core knows: the method of the specification's example.
'use strict';

const { newId } = require('./kernel/id');

const users = new Map([[123, { id: 123, email: 'user@example.com', name: 'John Doe' }]]);

const methods = {
  getUserById({ id }) {
    const user = users.get(Number(id));
    if (!user) throw new Error(`User with ID ${id} not found`);
    return user;
  },
};

async function handleRPC(method, params = {}) {
  if (!Object.hasOwn(methods, method)) throw new Error(`Method '${method}' not found`);
  return methods[method](params);
}

module.exports = { handleRPC, generateId: newId };
