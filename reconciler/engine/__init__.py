# SPDX-License-Identifier: Apache-2.0
"""One pass: the only place where effects are ordered."""
