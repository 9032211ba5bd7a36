# SPDX-License-Identifier: Apache-2.0
"""From files or Git objects to `Desired`."""
