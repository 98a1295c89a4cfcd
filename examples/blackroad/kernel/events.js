// SPDX-License-Identifier: MIT
// Events inside one service.  "*" is all of them.
'use strict';

const { config } = require('./config');
const { newId } = require('./id');

const listeners = new Map();

const events = {
  on(name, listener) {
    if (!listeners.has(name)) listeners.set(name, new Set());
    listeners.get(name).add(listener);
    return () => listeners.get(name).delete(listener);
  },
  async emit(name, data) {
    const event = {
      id: newId(),
      event: name,
      timestamp: new Date().toISOString(),
      source: config().name,
      data,
    };
    for (const key of [name, '*'])
      for (const listener of listeners.get(key) || []) await listener(event);
    return event;
  },
};

module.exports = { events };
