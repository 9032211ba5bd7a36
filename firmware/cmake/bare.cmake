# SPDX-License-Identifier: Apache-2.0
# A board without an operating system: one ELF file, no C library. The port's folder brings the linker script of its name.
set(BARE ${CMAKE_CURRENT_SOURCE_DIR}/ports/bare)
set(PORT ${CMAKE_CURRENT_SOURCE_DIR}/ports/${TF_PORT})
file(GLOB BARE_SOURCES CONFIGURE_DEPENDS ports/bare/*.c ports/shared/*.c ports/${TF_PORT}/*.c)

add_executable(firmware ${BARE_SOURCES})
set_target_properties(firmware PROPERTIES OUTPUT_NAME tinyfleet SUFFIX .elf)
target_include_directories(firmware PRIVATE ${BARE} ${PORT} ports/shared)
target_link_libraries(firmware PRIVATE strict core third_party gcc)
target_link_options(firmware PRIVATE
  -nostdlib -Wl,--gc-sections -Wl,--fatal-warnings -Wl,-Map=${CMAKE_BINARY_DIR}/tinyfleet.map
  -L${BARE} -T ${PORT}/${TF_PORT}.ld)
set_property(TARGET firmware APPEND PROPERTY LINK_DEPENDS ${BARE}/sections.ld ${PORT}/${TF_PORT}.ld)
# Or its loops would be compiled into calls of the very functions they implement. And the linker's step can't see that
# the compiler will call them, so they are not left to it.
set_source_files_properties(ports/bare/memory.c PROPERTIES COMPILE_OPTIONS "-fno-tree-loop-distribute-patterns;-fno-lto;-fcallgraph-info=su")
