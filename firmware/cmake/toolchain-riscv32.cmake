# SPDX-License-Identifier: Apache-2.0
# Bare-metal RV32IMAC; no C library is linked, so the compiler check must not link either.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(CMAKE_C_COMPILER riscv64-unknown-elf-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# misa-spec 2.2 has the CSR instructions in the base set, as this version of binutils expects
set(CMAKE_C_FLAGS_INIT "-march=rv32imac -mabi=ilp32 -misa-spec=2.2 -mcmodel=medlow -msave-restore")
