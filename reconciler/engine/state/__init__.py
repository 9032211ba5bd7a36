# SPDX-License-Identifier: Apache-2.0
"""What a gateway must not forget over a restart, in SQLite. The only SQL that the engine has is in this package."""
