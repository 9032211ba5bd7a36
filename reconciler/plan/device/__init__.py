# SPDX-License-Identifier: Apache-2.0
"""One device: its goal, and its evaluation before waves, windows and other rollouts apply."""
