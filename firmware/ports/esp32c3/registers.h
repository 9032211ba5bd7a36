/* SPDX-License-Identifier: Apache-2.0 */
/* The registers and ROM functions that this port uses (ESP32-C3 Technical Reference Manual, version 1.1; addresses of functions:
 * components/esp_rom/esp32c3/ld/esp32c3.rom.ld of ESP-IDF). */
#ifndef TINYFLEET_PORTS_ESP32C3_REGISTERS_H
#define TINYFLEET_PORTS_ESP32C3_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define UART_FIFO REGISTER(0x60000000u)
#define UART_STATUS REGISTER(0x6000001Cu)
#define UART_STATUS_RECEIVED 0x3FFu
#define UART_STATUS_TO_SEND_SHIFT 16u
#define UART_STATUS_TO_SEND 0x3FFu

#define RTC_WDTCONFIG0 REGISTER(0x60008090u)
#define RTC_WDTCONFIG0_ENABLE (1u << 31)
#define RTC_WDTCONFIG0_RESET_SYSTEM (3u << 28 | 7u << 13) /* at the end of the first stage, for as long as it can be */
#define RTC_WDTCONFIG1 REGISTER(0x60008094u)
#define RTC_WDTFEED REGISTER(0x600080A4u)
#define RTC_WDTFEED_FEED (1u << 31)
#define RTC_WDTWPROTECT REGISTER(0x600080A8u)
#define RTC_SWD_CONF REGISTER(0x600080ACu)
#define RTC_SWD_CONF_FEEDS_ITSELF (1u << 31)
#define RTC_SWD_WPROTECT REGISTER(0x600080B0u)
#define RTC_SWD_KEY 0x8F1D312Au
#define WDT_KEY 0x50D83AA1u

#define TIMG0_WDTCONFIG0 REGISTER(0x6001F048u)
#define TIMG0_WDTWPROTECT REGISTER(0x6001F064u)

#define SYSTIMER_UNIT0_OP REGISTER(0x60023004u)
#define SYSTIMER_UNIT0_OP_VALID (1u << 29)
#define SYSTIMER_UNIT0_OP_UPDATE (1u << 30)
#define SYSTIMER_UNIT0_VALUE_LO REGISTER(0x60023044u)

#define ROM_RTC_GET_RESET_REASON ((int (*)(int))0x40000018u)
#define ROM_SOFTWARE_RESET ((void (*)(void))0x40000090u)
#define ROM_SPIFLASH_ERASE_SECTOR ((int (*)(uint32_t))0x40000128u)
#define ROM_SPIFLASH_WRITE ((int (*)(uint32_t, const uint32_t *, int32_t))0x4000012Cu)
#define ROM_SPIFLASH_UNLOCK ((int (*)(void))0x40000140u)
#define ROM_CACHE_INVALIDATE_ADDR ((void (*)(uint32_t, uint32_t))0x400004D4u)
#define ROM_CACHE_SUSPEND_ICACHE ((uint32_t (*)(void))0x40000524u)
#define ROM_CACHE_RESUME_ICACHE ((void (*)(uint32_t))0x40000528u)
#define RESET_REASON_RTC_WATCHDOG 9

#endif
