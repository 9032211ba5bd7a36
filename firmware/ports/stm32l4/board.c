/* SPDX-License-Identifier: Apache-2.0 */
/* Clock, UART and watchdog of STM32L475 to STM32L4A6 (Cortex-M4): USART2 on PA2 and PA3, RTS on PA1. */
#include "board.h"

#include "receive_ring.h"
#include "registers.h"
#include "vectors.h"

#define CLOCK_HZ 16000000u /* as fast as flash answers without wait states */
#define TICK_US 100000u
#define IWDG_HZ 500u /* 32 kHz / 64 */
#define UART_PINS_MODE 0xFCu /* PA1 to PA3, two bits each */
#define UART_PINS_ALTERNATE 0xA8u
#define UART_PINS_FUNCTION 0xFFF0u
#define UART_PINS_USART2 0x7770u
#define UART_RUN (USART_CR1_UE | USART_CR1_RE | USART_CR1_TE)

const uint32_t board_ticks_per_ms = 1000u;
struct receive_ring receive_ring;

/* While the ring is full, the interrupt is masked and the byte stays in the UART, which holds RTS. */
void uart_receive_handler(void)
{
    while ((USART2_ISR & USART_ISR_RXNE) != 0) {
        if (receive_ring_full()) {
            USART2_CR1 = UART_RUN;
            return;
        }
        receive_ring_put((uint8_t)USART2_RDR);
    }
    USART2_ICR = USART_ICR_ORECF; /* an overrun raises the same interrupt */
}

void timer_handler(void)
{
    TIM2_SR = 0;
    TIM2_CCR1 += TICK_US;
}

static void start_clock(void)
{
    while ((RCC_CR & RCC_CR_MSIRDY) == 0) {
    }
    RCC_CR = (RCC_CR & ~RCC_CR_MSIRANGE) | RCC_CR_MSIRANGE_16MHZ | RCC_CR_MSIRGSEL;
    while ((RCC_CR & RCC_CR_MSIRDY) == 0) {
    }
}

void board_init(void)
{
    start_clock();
    FLASH_ACR &= ~FLASH_ACR_DCEN; /* the cache would keep what flash held before it was erased, and saves no wait state */
    RCC_AHB2ENR = RCC_AHB2ENR_GPIOA;
    RCC_APB1ENR1 = RCC_APB1ENR1_USART2 | RCC_APB1ENR1_TIM2;
    GPIOA_MODER = (GPIOA_MODER & ~UART_PINS_MODE) | UART_PINS_ALTERNATE;
    GPIOA_AFRL = (GPIOA_AFRL & ~UART_PINS_FUNCTION) | UART_PINS_USART2;
    USART2_BRR = (CLOCK_HZ + 115200u / 2u) / 115200u;
    USART2_CR3 = USART_CR3_RTSE;
    USART2_CR1 = UART_RUN | USART_CR1_RXNEIE;
    TIM2_PSC = CLOCK_HZ / 1000000u - 1u;
    TIM2_ARR = 0xFFFFFFFFu;
    TIM2_EGR = TIM_EGR_UG; /* takes the prescaler over */
    TIM2_CCR1 = TICK_US;
    TIM2_SR = 0;
    TIM2_DIER = TIM_DIER_CC1IE;
    TIM2_CR1 = TIM_CR1_CEN;
    NVIC_ENABLE(IRQ_TIM2) = 1u << IRQ_TIM2 % 32u;
    NVIC_ENABLE(IRQ_USART2) = 1u << IRQ_USART2 % 32u;
    __asm__ volatile("cpsie i" ::: "memory");
}

uint32_t board_counter(void)
{
    return TIM2_CNT;
}

/* Once it runs, it runs until a reset. Its time is that of the first call. */
void board_watchdog(uint32_t ms)
{
    static bool running;

    if (!running) {
        const uint32_t periods = ms * IWDG_HZ / 1000u;

        IWDG_KR = IWDG_KR_START;
        IWDG_KR = IWDG_KR_UNLOCK;
        IWDG_PR = IWDG_PR_64;
        IWDG_RLR = periods > IWDG_RLR_MAX ? IWDG_RLR_MAX : periods;
        running = true;
    }
    IWDG_KR = IWDG_KR_RELOAD;
}

bool board_watchdog_fired(void)
{
    const bool fired = (RCC_CSR & RCC_CSR_IWDGRSTF) != 0;

    RCC_CSR = RCC_CSR_RMVF;
    return fired;
}

void board_uart_write(const uint8_t *bytes, size_t length)
{
    for (; length > 0; length--) {
        while ((USART2_ISR & USART_ISR_TXE) == 0) {
        }
        USART2_TDR = *bytes++;
    }
}

void board_uart_resume(void)
{
    USART2_CR1 = UART_RUN | USART_CR1_RXNEIE;
}
