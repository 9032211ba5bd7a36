# SPDX-License-Identifier: Apache-2.0
"""Figures by which a build is accepted or rejected."""
