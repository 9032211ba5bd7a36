# SPDX-License-Identifier: Apache-2.0
"""What one device needs, evaluated on its own: before waves, windows and other rollouts have their say."""
