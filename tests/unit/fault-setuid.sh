#!/bin/sh
# SPDX-License-Identifier: MIT
# CO_FAULT does not arm a set-uid program: whoever runs it must not make it fail.
set -eu

if [ "$(id -u)" != 0 ]; then
	echo "SKIP: a program that is set-uid to somebody else can only be made by root"
	exit 77
fi
case ${CO_SANITIZERS:-} in *address*)
	echo "SKIP: the leak checker cannot look into a set-uid process and fails it for that"
	exit 77
	;;
esac
dir=$(mktemp -d "${TMPDIR:-/tmp}/setuid.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cp unit-fault "$dir/unit-fault"
chown 65534 "$dir/unit-fault"
chmod 4755 "$dir/unit-fault"
rc=0
CO_FAULT=store.commit:1 "$dir/unit-fault" set-uid || rc=$?
case $rc in
3) exit 0 ;;
4)
	echo "SKIP: $dir is mounted nosuid; set TMPDIR to a folder that is not"
	exit 77
	;;
*)
	echo "FAIL: CO_FAULT was taken by a set-uid program (status $rc)"
	exit 1
	;;
esac
