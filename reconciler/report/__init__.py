# SPDX-License-Identifier: Apache-2.0
"""From what happened to conditions and status files; pure."""
