# SPDX-License-Identifier: Apache-2.0
"""Samples of devices: fetching them within a budget, having models vote on them, and deciding what to propose."""
