# SPDX-License-Identifier: Apache-2.0
"""Links to devices and the messages on them."""
