// SPDX-License-Identifier: MIT
'use strict';

const { config } = require('./config');
const { internalUrl, publicUrl } = require('./registry');

function getKernelIdentity() {
  const { name, role, environment, port, version } = config();
  const internal = internalUrl(name);
  const outside = process.env.RAILWAY_STATIC_URL || '';
  return {
    service: name,
    role,
    version,
    environment,
    dns: {
      cloudflare: environment === 'production' ? publicUrl(name) : '',
      railway: outside,
      internal,
    },
    runtime: {
      railwayHost: outside,
      internalHost: internal,
      port,
      pid: process.pid,
      uptime: process.uptime(),
    },
    health: {
      status: 'healthy',
      uptime: process.uptime(),
      lastCheck: new Date().toISOString(),
    },
    capabilities: ['rpc', 'events', 'jobs', 'state'],
  };
}

module.exports = { getKernelIdentity };
