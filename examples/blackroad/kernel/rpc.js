// SPDX-License-Identifier: MIT
// Calls of methods of other services.
'use strict';

const http = require('node:http');
const { config } = require('./config');
const { internalUrl } = require('./registry');

class RPCError extends Error {
  constructor(status, error) {
    super((error && error.message) || `the call failed with status ${status}`);
    this.code = (error && error.code) || 'RPC_ERROR';
    this.status = status;
    this.details = error && error.details;
  }
}

function post(url, body, timeout) {
  const { name, role } = config();
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const request = http.request(url, {
      method: 'POST',
      signal: AbortSignal.timeout(timeout),
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(text),
        'X-Service-Name': name,
        'X-Service-Role': role,
      },
    }, (reply) => {
      const parts = [];
      reply.on('data', (part) => parts.push(part));
      reply.on('error', reject);
      reply.on('end', () => {
        try {
          resolve([reply.statusCode, JSON.parse(Buffer.concat(parts).toString())]);
        } catch (error) {
          reject(error);
        }
      });
    });
    request.on('error', reject);
    request.end(text);
  });
}

const rpc = {
  // The result, or an RPCError; an AbortError when it takes too long.
  async call(service, method, params = {}, { timeout = 10000 } = {}) {
    const [status, body] = await post(`${internalUrl(service)}/v1/sys/rpc`,
      { method, params, timeout }, timeout);
    if (status >= 400 || body.error) throw new RPCError(status, body.error);
    return body.result;
  },
};

module.exports = { rpc, RPCError };
