# SPDX-License-Identifier: Apache-2.0
"""From planned actions to updates in progress, at most one for each device."""
