# SPDX-License-Identifier: Apache-2.0
"""Conditions and status files, made from what a pass found. Pure."""
