# SPDX-License-Identifier: Apache-2.0
# A board without an operating system: one ELF file, no C library. The linker script has the name of the port.
set(BARE ${CMAKE_CURRENT_SOURCE_DIR}/ports/bare)
set(PORT ${CMAKE_CURRENT_SOURCE_DIR}/ports/${TF_PORT})
if(TF_DRIVERS) # a folder in ports that boards with related chips share
  set(DRIVERS_FOLDER ports/${TF_DRIVERS})
  file(GLOB DRIVERS CONFIGURE_DEPENDS ${DRIVERS_FOLDER}/*.c)
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "arm")
  set(CORE_FOLDER ports/cortex-m)
  file(GLOB CORE_SUPPORT CONFIGURE_DEPENDS ${CORE_FOLDER}/*.c)
endif()
file(GLOB BARE_SOURCES CONFIGURE_DEPENDS ports/bare/*.c ports/shared/*.c ports/${TF_PORT}/*.[cS])
list(APPEND BARE_SOURCES ${DRIVERS} ${CORE_SUPPORT})

# Functions that write flash run from RAM, next to data: such a segment is writable and executable on purpose.
set(LINKER_WARNINGS -Wl,--fatal-warnings -Wl,--no-warn-rwx-segments)
function(add_firmware target name)
  add_executable(${target} ${ARGN})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name} SUFFIX .elf)
  target_include_directories(${target} PRIVATE ${BARE} ${CORE_FOLDER} ${PORT} ${DRIVERS_FOLDER} ports/shared include)
  target_link_options(${target} PRIVATE
    -nostdlib -Wl,--gc-sections ${LINKER_WARNINGS} -Wl,-Map=${CMAKE_BINARY_DIR}/${name}.map
    -L${BARE} -T ${PORT}/${TF_PORT}.ld)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${BARE}/sections.ld ${PORT}/${TF_PORT}.ld)
endfunction()

# Images to measure, each with one part less: all parts; without operations; without recurrent layers as well; without stages of
# pipelines as well; without learning as well; without samples as well; and without the engines for networks and trees. The differences are the sizes of the parts.
if(TF_OPERATIONS)
  set(BUILTINS no_builtins) # what is left out
  set(OPERATIONS operations)
else()
  set(BUILTINS builtins)
endif()
set(ALONE_SOURCES ${BARE_SOURCES})
set(UNSAMPLED_SOURCES ${BARE_SOURCES})
set(UNLEARNED_SOURCES ${BARE_SOURCES})
set(UNSTAGED_SOURCES ${BARE_SOURCES})
set(PARTS samples)
set(RECORDERS no_recorder|sampling_recorder) # what is left out
if(TF_LEARNING)
  list(APPEND PARTS learning)
else()
  set(RECORDERS no_recorder|recorder)
endif()
list(FILTER UNSTAGED_SOURCES EXCLUDE REGEX "/(threshold_only|${RECORDERS}|stages|builtins)\\.c$")
list(FILTER UNLEARNED_SOURCES EXCLUDE REGEX "/(threshold_only|no_recorder|recorder|stages|builtins)\\.c$")
list(FILTER UNSAMPLED_SOURCES EXCLUDE REGEX "/(threshold_only|sampling_recorder|recorder|stages|builtins)\\.c$")
list(FILTER ALONE_SOURCES EXCLUDE REGEX "/(engines|sampling_recorder|recorder|stages|builtins)\\.c$")
set(UNCALLED_SOURCES ${BARE_SOURCES})
if(TF_STAGES)
  list(FILTER BARE_SOURCES EXCLUDE REGEX "/(threshold_only|${RECORDERS}|no_stages|${BUILTINS})\\.c$")
  list(FILTER UNCALLED_SOURCES EXCLUDE REGEX "/(threshold_only|${RECORDERS}|no_stages|builtins)\\.c$")
  list(APPEND ALL_PARTS ${PARTS} stages)
else()
  list(FILTER BARE_SOURCES EXCLUDE REGEX "/(threshold_only|${RECORDERS}|stages|${BUILTINS})\\.c$")
  set(UNCALLED_SOURCES ${UNSTAGED_SOURCES})
  set(ALL_PARTS ${PARTS})
endif()
add_firmware(firmware tinyfleet ${BARE_SOURCES})
target_link_libraries(firmware PRIVATE strict core ${ENGINES} ${ALL_PARTS} ${OPERATIONS} third_party gcc)
add_firmware(uncalled uncalled ${UNCALLED_SOURCES})
target_link_libraries(uncalled PRIVATE strict core ${ENGINES} ${ALL_PARTS} third_party gcc)
add_firmware(feedforward feedforward ${UNCALLED_SOURCES})
target_link_libraries(feedforward PRIVATE strict core feedforward_engines ${ALL_PARTS} third_party gcc)
add_firmware(unstaged unstaged ${UNSTAGED_SOURCES})
target_link_libraries(unstaged PRIVATE strict core feedforward_engines ${PARTS} third_party gcc)
add_firmware(unlearned unlearned ${UNLEARNED_SOURCES})
target_link_libraries(unlearned PRIVATE strict core feedforward_engines samples third_party gcc)
add_firmware(unsampled unsampled ${UNSAMPLED_SOURCES})
target_link_libraries(unsampled PRIVATE strict core feedforward_engines third_party gcc)
# The agent without the engines for networks and trees: its own size is measured on this.
add_firmware(alone agent-alone ${ALONE_SOURCES})
target_link_libraries(alone PRIVATE strict core third_party gcc)
# The board without the agent: the first test of a new port.
file(GLOB CHECK_SOURCES CONFIGURE_DEPENDS ports/bare/check/*.c ports/${TF_PORT}/*.[cS])
add_firmware(board-check board-check ${CHECK_SOURCES} ${DRIVERS} ${CORE_SUPPORT} ${BARE}/start.c ${BARE}/fault.c ${BARE}/memory.c)
target_link_libraries(board-check PRIVATE strict gcc)
# Three programs that count instructions, for boards whose emulator does: their runner/<port>.c says how. Built only on request, so
# that the call graphs in the build are those of the firmware.
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/runner/${TF_PORT}.c)
  set(COUNTED runner/${TF_PORT}.c ports/${TF_PORT}/board.c ports/${TF_PORT}/entry.c ${CORE_SUPPORT} ${BARE}/start.c ${BARE}/fault.c ${BARE}/memory.c)
  # Runs single packs on a board.
  add_firmware(runner-elf tinyfleet-runner runner/bare.c ${COUNTED})
  set_target_properties(runner-elf PROPERTIES EXCLUDE_FROM_ALL ON)
  target_link_libraries(runner-elf PRIVATE strict runner core ${ENGINES} third_party gcc)
  # Counts the instructions of cryptography, with the core's own options.
  add_firmware(crypto-bench crypto-bench runner/crypto_bench.c ${COUNTED})
  set_target_properties(crypto-bench PROPERTIES EXCLUDE_FROM_ALL ON)
  target_include_directories(crypto-bench PRIVATE runner src)
  target_link_libraries(crypto-bench PRIVATE strict core stages third_party gcc)
  # Grows a forest from rows that it is given.
  if(TF_LEARNING)
    add_firmware(grow-bench grow-bench runner/grow_bench.c ${COUNTED})
    set_target_properties(grow-bench PROPERTIES EXCLUDE_FROM_ALL ON)
    target_include_directories(grow-bench PRIVATE runner src)
    target_link_libraries(grow-bench PRIVATE strict learning samples core feedforward_engines third_party gcc)
  endif()
endif()
# Otherwise its loops would be compiled into calls of the functions that they implement. LTO is off because the link step
# can't see that the compiler will call these functions.
set_source_files_properties(ports/bare/memory.c PROPERTIES COMPILE_OPTIONS "-fno-tree-loop-distribute-patterns;-fno-lto;-fcallgraph-info=su")
