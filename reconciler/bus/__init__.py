# SPDX-License-Identifier: Apache-2.0
"""Requests over the broker: messages, what a gateway answers, and the operations that it has built in."""
