# SPDX-License-Identifier: Apache-2.0
"""Models that follow a reference in a registry."""
