# SPDX-License-Identifier: Apache-2.0
"""What the gateway remembers between passes and restarts, in SQLite."""
