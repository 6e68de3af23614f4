# SPDX-License-Identifier: Apache-2.0
# Which compiler makes PTX, and how. Clang writes PTX 7.0, which every driver since 2020 loads, with no toolkit at all;
# nvcc writes its own version, which needs a driver as new as itself. Without either there is no CUDA in this build.
find_program(EL_CLANG NAMES clang clang-14 clang-15 clang-16 DOC "makes PTX")
find_program(EL_NVCC NAMES nvcc HINTS /usr/local/cuda/bin DOC "makes PTX where clang is missing")

set(clang_ptx -x cuda --cuda-device-only -nocudainc -nocudalib -S -O3 -Wall -Wno-unknown-cuda-version
              -Wno-unused-command-line-argument -Xclang -target-feature -Xclang +ptx70
              -mllvm -nvptx-prec-divf32=1) # quotients within 2 units of the last place
set(EL_PTX_COMPILER "")
if(EL_CLANG)
  execute_process(COMMAND ${EL_CLANG} ${clang_ptx} --cuda-gpu-arch=sm_70 -o - /dev/null
                  RESULT_VARIABLE failed OUTPUT_VARIABLE ptx ERROR_VARIABLE words)
  execute_process(COMMAND ${EL_CLANG} -dumpversion OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT failed)
    set(EL_PTX_COMPILER "clang ${version}, PTX 7.0")
    set(ptx_command ${EL_CLANG} ${clang_ptx})
    set(ptx_capability_flag --cuda-gpu-arch=sm_)
    set(EL_PTX_LEAST 70) # Volta, 2017: the first whose lanes may wait for one another apart
  endif()
endif()
if(EL_PTX_COMPILER STREQUAL "" AND EL_NVCC)
  execute_process(COMMAND ${EL_NVCC} --list-gpu-arch OUTPUT_VARIABLE archs)
  execute_process(COMMAND ${EL_NVCC} --version OUTPUT_VARIABLE version)
  string(REGEX MATCH "compute_([0-9]+)" found "${archs}") # the first is the least
  set(EL_PTX_LEAST ${CMAKE_MATCH_1})
  string(REGEX MATCH "release ([0-9.]+)" found "${version}")
  set(EL_PTX_COMPILER "nvcc ${CMAKE_MATCH_1}, needs a driver of CUDA ${CMAKE_MATCH_1} or newer")
  set(ptx_command ${EL_NVCC} -x cu -ptx -O3 -prec-div=false)
  set(ptx_capability_flag -arch=compute_)
  message(STATUS "PTX is made by nvcc, for want of clang: it needs a driver of CUDA ${CMAKE_MATCH_1} or newer, and "
                 "capability ${EL_PTX_LEAST} at least")
endif()
if(EL_PTX_COMPILER STREQUAL "")
  message(STATUS "Neither clang nor nvcc can make PTX here: this build has no CUDA kernels")
else()
  message(STATUS "PTX by ${EL_PTX_COMPILER}")
endif()

# el_add_ptx(target store capability source): PTX of a store type (F32, F16, BF16) for a least capability goes into the
# target, as a row of el_ptx. Rows of one store type are added in ascending order of capability.
set(EL_PTX_FILES "")
set(EL_PTX_TEXTS "")
set(EL_PTX_ROWS "")
macro(el_add_ptx target store capability source)
  set(name el_ptx_${store}_${capability})
  set(ptx ${CMAKE_CURRENT_BINARY_DIR}/${name}.ptx)
  add_custom_command(
    OUTPUT ${ptx}
    COMMAND ${ptx_command} ${ptx_capability_flag}${capability} -DSTORE_${store} -o ${ptx}
            ${CMAKE_CURRENT_SOURCE_DIR}/${source}
    DEPENDS ${EL_KERNEL_SOURCES}
    COMMENT "PTX of ${store} for capability ${capability}"
    VERBATIM)
  el_add_text(${target} ${ptx} "extern const char ${name}[]; const char ${name}[]")
  list(APPEND EL_PTX_FILES ${ptx})
  string(APPEND EL_PTX_TEXTS "extern const char ${name}[];\n")
  string(APPEND EL_PTX_ROWS "    {EL_STORE_${store}, ${capability}, ${name}},\n")
endmacro()

# The table of kernels.h, behind every el_add_ptx.
macro(el_add_ptx_table target)
  list(LENGTH EL_PTX_FILES EL_PTX_COUNT)
  configure_file(ptx_table.c.in ptx_table.c @ONLY)
  target_sources(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/ptx_table.c)
endmacro()
