# SPDX-License-Identifier: Apache-2.0
# The engines for neural networks and tree ensembles, with the multiply-accumulate loops that suit the core best: the compiler
# knows whether this processor has the instructions.
include(CheckSymbolExists)
check_symbol_exists(__ARM_FEATURE_DSP "" TF_HAS_DSP)
if(TF_HAS_DSP)
  set(TF_MAC dsp CACHE STRING "dsp: Armv7E-M, Armv8-M with DSP; portable: any core")
else()
  set(TF_MAC portable CACHE STRING "dsp: Armv7E-M, Armv8-M with DSP; portable: any core")
endif()
file(GLOB ENGINE_SOURCES CONFIGURE_DEPENDS src/engine/*.c)
list(APPEND ENGINE_SOURCES src/engine/${TF_MAC}/mac.c src/engine/${TF_MAC}/wide.c)
file(GLOB RECURRENT_SOURCES CONFIGURE_DEPENDS src/engine/recurrent/*.c)
# The same engines with and without the operators of recurrent layers, for ports to choose from.
add_library(feedforward_engines OBJECT ${ENGINE_SOURCES})
target_compile_definitions(feedforward_engines PRIVATE TF_RECURRENT=0)
add_library(recurrent_engines OBJECT ${ENGINE_SOURCES} ${RECURRENT_SOURCES})
foreach(library feedforward_engines recurrent_engines)
  target_include_directories(${library} PUBLIC include PRIVATE src src/engine/${TF_MAC})
  target_link_libraries(${library} PRIVATE strict)
  if(NOT TF_PORT STREQUAL "host") # as the core: functions with other options can't be inlined into one another
    target_compile_options(${library} PRIVATE -fno-move-loop-invariants)
  endif()
endforeach()
if(TF_RECURRENT)
  set(ENGINES recurrent_engines)
else()
  set(ENGINES feedforward_engines)
endif()
# an inference spends its time here, so speed is worth some bytes; everything else is optimised for size
set(LOOP_OPTIONS -O2)
if(NOT TF_PORT STREQUAL "host")
  list(APPEND LOOP_OPTIONS -fmove-loop-invariants)
endif()
set_source_files_properties(src/engine/${TF_MAC}/mac.c src/engine/${TF_MAC}/wide.c src/engine/scratch.c
  PROPERTIES COMPILE_OPTIONS "${LOOP_OPTIONS}")

# Runs one pack on given inputs and returns the outputs, for `tinyfleet pack run`, tests and benchmarks.
add_library(runner OBJECT runner/runner.c)
target_include_directories(runner PUBLIC runner include)
target_link_libraries(runner PRIVATE strict)
