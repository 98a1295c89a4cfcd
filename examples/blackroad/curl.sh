#!/bin/sh
# SPDX-License-Identifier: MIT
# The one-liners of the specification, with the addresses of this machine; what would go on
# for ever ends after two seconds.  README.md says where to run it.
set -x

curl http://core.blackroad.systems:8000/health
curl http://core.blackroad.systems:8000/version
curl http://core.blackroad.systems:8000/v1/sys/identity
curl http://core.blackroad.systems:8000/v1/sys/health
curl http://core.blackroad.systems:8000/v1/sys/version
curl http://core.blackroad.systems:8000/v1/sys/config
curl -X POST http://core.blackroad.systems:8000/v1/sys/log \
  -H "Content-Type: application/json" \
  -d '{"level":"info","message":"Test log"}'
curl "http://core.blackroad.systems:8000/v1/sys/logs?level=error&limit=50"
curl -X POST http://core.blackroad.systems:8000/v1/sys/metric \
  -H "Content-Type: application/json" \
  -d '{"name":"cpu.usage","value":75,"unit":"percent"}'
curl "http://core.blackroad.systems:8000/v1/sys/metrics?name=cpu.usage&limit=50"
curl -X POST http://core.blackroad.systems:8000/v1/sys/rpc \
  -H "Content-Type: application/json" \
  -H "X-Service-Name: blackroad-os-operator" \
  -H "X-Service-Role: operator" \
  -d '{"method":"getUserById","params":{"id":123}}'
curl -X POST http://core.blackroad.systems:8000/v1/sys/event \
  -H "Content-Type: application/json" \
  -d '{"event":"user:created","data":{"userId":123}}'
curl -N -m 2 "http://core.blackroad.systems:8000/v1/sys/events?event=user:created"
curl -X POST http://core.blackroad.systems:8000/v1/sys/job \
  -H "Content-Type: application/json" \
  -d '{"name":"send-email","params":{"to":"user@example.com","subject":"Test"}}'
curl http://core.blackroad.systems:8000/v1/sys/job/job-1732104000000-abc123
curl -X POST http://core.blackroad.systems:8000/v1/sys/job/job-1732104000000-abc123/cancel
curl "http://core.blackroad.systems:8000/v1/sys/state?key=user:count"
curl "http://core.blackroad.systems:8000/v1/sys/state"
curl -X PUT http://core.blackroad.systems:8000/v1/sys/state \
  -H "Content-Type: application/json" \
  -d '{"key":"user:count","value":43,"expectedVersion":5}'
curl http://operator.blackroad.systems:8001/health
curl http://operator.blackroad.systems:8001/v1/sys/health
curl -X POST http://blackroad-os-core.railway.internal:8000/v1/sys/rpc \
  -H "Content-Type: application/json" \
  -H "X-Service-Name: blackroad-os-operator" \
  -d '{"method":"getUserById","params":{"id":123}}'
