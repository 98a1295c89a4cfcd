# SPDX-License-Identifier: MIT
EXTRA_DIST += \
	%D%/ARCHITECTURE.md %D%/HACKING.md %D%/glossary.md %D%/testing.md \
	%D%/adding-a-personality.md %D%/adding-an-operation.md \
	%D%/spec/anos.md %D%/spec/blackroad.md %D%/spec/clankeros.md \
	%D%/spec/cloudos.md %D%/spec/playsys.md
