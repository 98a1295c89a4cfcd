// SPDX-License-Identifier: MIT
// State of one service, in its memory.  What must outlive it belongs to cloudosd: leave the
// two state endpoints out of the program, and it keeps them.
'use strict';

const entries = new Map();

const state = {
  get(key) {
    return entries.get(key);
  },
  getAll() {
    return [...entries.values()];
  },
  set(key, value, expectedVersion) {
    const before = entries.get(key);
    if (before && expectedVersion !== undefined && expectedVersion !== before.version)
      throw new Error(`Version conflict for key '${key}': expected ${expectedVersion}, `
        + `got ${before.version}`);
    const entry = {
      key,
      value,
      version: before ? before.version + 1 : 1,
      updatedAt: new Date().toISOString(),
    };
    entries.set(key, entry);
    return entry;
  },
  delete(key) {
    return entries.delete(key);
  },
};

module.exports = { state };
