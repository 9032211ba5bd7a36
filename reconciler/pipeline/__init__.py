# SPDX-License-Identifier: Apache-2.0
"""One model partitioned over several devices: where it is cut, what that costs, and who holds which stage. Pure."""
