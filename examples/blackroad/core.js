// SPDX-License-Identifier: MIT
// The Express program of the specification's guide, with the methods that it leaves open.
//
//	cloudos-exec --service core -- node core.js
'use strict';

const express = require('express');
const { getKernelIdentity, logger, rpc, events, jobQueue, state } = require('./kernel');
const { handleRPC, generateId } = require('./users');

void rpc; // core calls nobody; operator.js does

jobQueue.registerHandler('send-email', async ({ to }) => ({ sent: true, to }));

const app = express();
app.use(express.json());

// Core syscalls
app.get('/health', (req, res) => {
  res.json({ status: 'healthy' });
});

app.get('/version', (req, res) => {
  const identity = getKernelIdentity();
  res.json({ version: identity.version, service: identity.service });
});

app.get('/v1/sys/identity', (req, res) => {
  res.json(getKernelIdentity());
});

// RPC syscall
app.post('/v1/sys/rpc', async (req, res) => {
  const { method, params } = req.body;

  try {
    const result = await handleRPC(method, params);
    res.json({ result });
  } catch (error) {
    res.status(500).json({
      error: {
        code: 'RPC_ERROR',
        message: error.message,
      },
    });
  }
});

// Event syscall
app.post('/v1/sys/event', async (req, res) => {
  const { event, data } = req.body;
  await events.emit(event, data);
  res.status(201).json({
    id: generateId(),
    timestamp: new Date().toISOString(),
  });
});

// Job syscall
app.post('/v1/sys/job', async (req, res) => {
  const { name, params, schedule } = req.body;
  try {
    const job = await jobQueue.createJob(name, params, schedule);
    res.status(201).json(job);
  } catch (error) {
    res.status(404).json({ error: { code: error.code, message: error.message } });
  }
});

// State syscalls
app.get('/v1/sys/state', (req, res) => {
  const { key } = req.query;
  if (key) {
    const entry = state.get(key);
    if (!entry) {
      return res.status(404).json({ error: 'Key not found' });
    }
    res.json(entry);
  } else {
    res.json({ state: state.getAll() });
  }
});

app.put('/v1/sys/state', (req, res) => {
  const { key, value, expectedVersion } = req.body;
  try {
    const entry = state.set(key, value, expectedVersion);
    res.json(entry);
  } catch (error) {
    res.status(409).json({
      error: {
        code: 'VERSION_CONFLICT',
        message: error.message,
      },
    });
  }
});

app.listen(8000, () => {
  logger.info('Service started on port 8000');
});
