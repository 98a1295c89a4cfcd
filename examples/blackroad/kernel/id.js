// SPDX-License-Identifier: MIT
'use strict';

// "1732104000000-abc123": sorted by time.
function newId() {
  return `${Date.now()}-${Math.random().toString(36).slice(2, 11) || '0'}`;
}

module.exports = { newId };
