// SPDX-License-Identifier: MIT
// The same service with nothing but Node: health and RPC.  The gateway in front of it answers
// the rest of what a service must have.
//
//	cloudos-exec --service core -- node core-plain.js
'use strict';

const http = require('node:http');
const { logger } = require('./kernel');
const { handleRPC } = require('./users');

function answer(res, status, body) {
  res.writeHead(status, { 'Content-Type': 'application/json' });
  res.end(JSON.stringify(body));
}

async function onRPC(req, res) {
  let text = '';
  for await (const part of req) text += part;
  try {
    const { method, params } = JSON.parse(text);
    answer(res, 200, { result: await handleRPC(method, params) });
  } catch (error) {
    answer(res, 500, { error: { code: 'RPC_ERROR', message: error.message } });
  }
}

http.createServer((req, res) => {
  if (req.method === 'GET' && req.url === '/health') return answer(res, 200, { status: 'healthy' });
  if (req.method === 'POST' && req.url === '/v1/sys/rpc') return onRPC(req, res);
  answer(res, 404, { error: { code: 'NOT_FOUND', message: `there is no ${req.url}` } });
}).listen(8000, () => logger.info('Service started on port 8000'));
