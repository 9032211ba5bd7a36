/* SPDX-License-Identifier: Apache-2.0 */
/* What the sketch uses of Arduino's core for ESP32, declared again by hand. Not Arduino. */
#ifndef CONTRACT_ARDUINO_H
#define CONTRACT_ARDUINO_H

#include <cstddef>
#include <cstdint>

#define A0 36
#define LED_BUILTIN 2
#define HIGH 1

extern "C" {
unsigned long millis();
int analogRead(uint8_t pin);
void digitalWrite(uint8_t pin, uint8_t value);
}

struct HardwareSerial {
    size_t setRxBufferSize(size_t bytes);
    void begin(unsigned long baud);
    int available();
    int read();
    size_t write(const uint8_t *bytes, size_t length);
    void flush();
};

extern HardwareSerial Serial1;

void setup();
void loop();

#endif
