# SPDX-License-Identifier: Apache-2.0
"""From the outcome of a pass to status files, and to the commit that publishes them."""
