# SPDX-License-Identifier: Apache-2.0
"""The figures of a build, and the gates that they must pass."""
