# SPDX-License-Identifier: Apache-2.0
"""The fleet page: status values as HTML, for the HTTP server of the daemon and as files. Pure."""
