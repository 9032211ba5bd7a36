# SPDX-License-Identifier: Apache-2.0
# Linux: the core as a shared library for tests, and tinyfleet-vdev.
add_library(host_port OBJECT
  ports/host/flash_model.c ports/host/host_agent.c ports/shared/engines.c ports/shared/stages.c ports/shared/builtins.c ports/shared/input_window.c ports/shared/serial_answer.c)
target_include_directories(host_port PUBLIC ports/host ports/shared)
target_link_libraries(host_port PUBLIC core third_party PRIVATE strict)

add_library(tinyfleet-host SHARED ports/host/host_library.c)
target_link_libraries(tinyfleet-host PRIVATE host_port core ${ENGINES} samples learning stages operations third_party strict)

file(GLOB VDEV_SOURCES CONFIGURE_DEPENDS ports/host/vdev/*.c)
if(VDEV_SOURCES)
  find_library(MOSQUITTO mosquitto REQUIRED)
  add_executable(tinyfleet-vdev ${VDEV_SOURCES})
  target_link_libraries(tinyfleet-vdev PRIVATE host_port core ${ENGINES} samples learning stages operations third_party strict ${MOSQUITTO} m)
  target_compile_definitions(tinyfleet-vdev PRIVATE _GNU_SOURCE)
endif()

# The modules of the core one by one, for the test vectors, with either curve; mostly used with the preset host-asan.
set(PIECES ${CORE_SOURCES})
list(FILTER PIECES EXCLUDE REGEX "/src/engine/")
foreach(curve monocypher small)
  add_executable(core-check-${curve} tests/core_check.c ${PIECES} src/crypto/curve_${curve}.c)
  target_include_directories(core-check-${curve} PRIVATE src include)
  target_link_libraries(core-check-${curve} PRIVATE third_party strict)
endforeach()

add_executable(tinyfleet-runner runner/host.c)
target_link_libraries(tinyfleet-runner PRIVATE runner ${ENGINES} core third_party strict)
