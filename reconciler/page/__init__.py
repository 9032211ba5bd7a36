# SPDX-License-Identifier: Apache-2.0
"""A look at the fleet: from status values to HTML, for the daemon's listener and as files; pure."""
