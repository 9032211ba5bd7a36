# SPDX-License-Identifier: Apache-2.0
# Included by the CMakeLists.txt of the component when ESP-IDF builds it.
file(GLOB_RECURSE TINYFLEET_SOURCES ${CMAKE_CURRENT_LIST_DIR}/../src/*.c)
idf_component_register(
  SRCS ${TINYFLEET_SOURCES} ${CMAKE_CURRENT_LIST_DIR}/tinyfleet_esp_idf.c
  INCLUDE_DIRS include esp-idf
  PRIV_INCLUDE_DIRS src
  REQUIRES esp_partition mqtt
  PRIV_REQUIRES esp_system esp_timer freertos)
target_compile_definitions(${COMPONENT_LIB} PUBLIC
  TINYFLEET_INBOX_MESSAGES=${CONFIG_TINYFLEET_INBOX_MESSAGES} TF_BLOCK_MAX=${CONFIG_TINYFLEET_BLOCK_MAX})
if(CONFIG_TINYFLEET_SMALL_CURVE)
  target_compile_definitions(${COMPONENT_LIB} PRIVATE TINYFLEET_SMALL_CURVE)
endif()
