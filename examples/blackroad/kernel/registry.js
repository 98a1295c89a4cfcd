// SPDX-License-Identifier: MIT
// Where the services are: their internal addresses, as BlackRoad OS names them.
'use strict';

const SUFFIX = 'railway.internal';

// what does not follow the rule blackroad-os-NAME, port 8000
const NAMES = {
  app: 'blackroad-operating-system',
  console: 'blackroad-os-prism-console',
  os: 'blackroad-os-interface',
};
const PORTS = { operator: 8001, 'api-gateway': 8080 };

function fullName(service) {
  if (service.startsWith('blackroad-')) return service;
  return NAMES[service] || `blackroad-os-${service}`;
}

function shortName(service) {
  const found = Object.entries(NAMES).find(([, name]) => name === service);
  return found ? found[0] : service.replace(/^blackroad-os-/, '');
}

function internalUrl(service) {
  return `http://${fullName(service)}.${SUFFIX}:${PORTS[shortName(service)] || 8000}`;
}

function publicUrl(service) {
  const name = shortName(service);
  return name === 'root' ? 'https://blackroad.systems' : `https://${name}.blackroad.systems`;
}

module.exports = { fullName, shortName, internalUrl, publicUrl };
