# SPDX-License-Identifier: Apache-2.0
"""The fleet repository: fetch, verify, read, and write status refs."""
