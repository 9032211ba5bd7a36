# SPDX-License-Identifier: Apache-2.0
"""From wanted and observed state to actions; pure."""
