# SPDX-License-Identifier: Apache-2.0
# Bare-metal Cortex-M; no C library is linked, so the compiler check must not link either. The preset names the processor.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(TF_CPU cortex-m4 CACHE STRING "the processor, as -mcpu names it")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TF_CPU)
set(CMAKE_C_FLAGS_INIT "-mcpu=${TF_CPU} -mthumb -mfloat-abi=soft")
