// SPDX-License-Identifier: MIT
// Calls core, as the specification's example does.
//
//	cloudos-exec --service operator -- node operator.js
'use strict';

const { rpc } = require('./kernel');

async function main() {
  const user = await rpc.call('core', 'getUserById', { id: 123 });
  console.log('User:', user);
}

main().catch((error) => {
  console.error(`${error.code || error.name}: ${error.message}`);
  process.exitCode = 1;
});
