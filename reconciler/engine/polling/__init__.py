# SPDX-License-Identifier: Apache-2.0
"""Asking devices for reports, and taking in what they send unsolicited."""
