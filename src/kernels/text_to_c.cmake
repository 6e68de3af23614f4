# SPDX-License-Identifier: Apache-2.0
# Writes OUT, C that holds the text of IN line by line: DECLARATION = "...";
file(READ ${IN} text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n\"" text "${text}")
file(WRITE ${OUT} "${DECLARATION} =\n\"${text}\";\n")
