// SPDX-License-Identifier: MIT
// What the environment says; cloudos-exec --service sets it.
'use strict';

function config() {
  const { env } = process;
  return {
    name: env.SERVICE_NAME || 'blackroad-os-unknown',
    role: env.SERVICE_ROLE || 'api',
    environment: env.ENVIRONMENT || 'development',
    port: Number(env.PORT || 8000),
    version: env.VERSION || env.npm_package_version || '1.0.0',
  };
}

module.exports = { config };
