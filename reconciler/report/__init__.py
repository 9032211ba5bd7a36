# SPDX-License-Identifier: Apache-2.0
"""Conditions and status files, computed from the results of a pass. Pure."""
