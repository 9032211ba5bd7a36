# SPDX-License-Identifier: Apache-2.0
"""What a pass does for trainings: gather windows, have trials run, and say which models are to be proposed."""
