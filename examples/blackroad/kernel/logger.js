// SPDX-License-Identifier: MIT
// One JSON object a line.  cloudos-exec puts what a service prints into its logs.
'use strict';

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'];
const logger = {};

for (const level of LEVELS) {
  logger[level] = (message, meta) => {
    const line = JSON.stringify({ level, message: String(message), ...(meta && { meta }) });
    (level === 'error' || level === 'fatal' ? process.stderr : process.stdout).write(line + '\n');
  };
}

module.exports = { logger };
