# SPDX-License-Identifier: Apache-2.0
# Writes OUT, a header with the bytes of IN as `static const char NAME[]`, without a NUL at the end.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
file(WRITE ${OUT} "// Made from ${IN} by embed.cmake.\nstatic const char ${NAME}[] = {${bytes}};\n")
