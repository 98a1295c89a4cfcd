#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a test written in Python; without python3 it is skipped, or fails with CO_STRICT=1.
if ! command -v python3 >/dev/null 2>&1; then
	echo "SKIP: python3 is missing: apt-get install python3"
	[ "$CO_STRICT" = 1 ] && exit 1
	exit 77
fi
PYTHONDONTWRITEBYTECODE=1 exec python3 "$@"
