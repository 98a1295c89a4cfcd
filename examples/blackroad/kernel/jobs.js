// SPDX-License-Identifier: MIT
// Jobs inside one service, run once as soon as there is time.  One with a schedule stays
// queued: running it again and again is what POST /v1/sys/job of cloudosd is for.
'use strict';

const { newId } = require('./id');

const handlers = new Map();
const jobs = new Map();

const now = () => new Date().toISOString();

async function run(job) {
  if (job.status !== 'queued') return;
  Object.assign(job, { status: 'running', startedAt: now() });
  const outcome = {};
  try {
    outcome.result = await handlers.get(job.name)(job.params, job);
    outcome.status = 'completed';
  } catch (error) {
    outcome.error = { message: error.message, stack: error.stack };
    outcome.status = 'failed';
  }
  // one that was cancelled meanwhile stays so
  if (job.status === 'running') Object.assign(job, outcome, { completedAt: now() });
}

const jobQueue = {
  registerHandler(name, handler) {
    handlers.set(name, handler);
  },
  async createJob(name, params, schedule) {
    if (!handlers.has(name)) {
      const error = new Error(`nobody handles the job '${name}'`);
      error.code = 'JOB_HANDLER_NOT_FOUND';
      throw error;
    }
    const job = { id: `job-${newId()}`, name, params, schedule, status: 'queued', createdAt: now() };
    jobs.set(job.id, job);
    if (!schedule) setImmediate(run, job);
    return { ...job };
  },
  getJob(id) {
    return jobs.get(id);
  },
  cancelJob(id) {
    const job = jobs.get(id);
    if (job && (job.status === 'queued' || job.status === 'running'))
      Object.assign(job, { status: 'cancelled', completedAt: now() });
    return job;
  },
};

module.exports = { jobQueue };
