/* SPDX-License-Identifier: MIT */
/*
 * bench-true: the smallest static program of a C library; what it costs is its start.
 * GUEST; bench/run starts it.
 */
int main(void)
{
	return 0;
}
